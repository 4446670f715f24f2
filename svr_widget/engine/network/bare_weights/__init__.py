"""Weights without their model, in a list, a mapping or a file: from there to maps and links."""
