"""What is read off the graph: tables, paths, near-kernels, dead channels, matching."""
