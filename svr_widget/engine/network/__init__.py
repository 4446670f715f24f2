"""From what the caller has, a model, weights or a file, to maps and links."""
