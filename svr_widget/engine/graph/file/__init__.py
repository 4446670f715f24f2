"""A graph, and records of it, in files: written, read, and checked before they are believed."""
