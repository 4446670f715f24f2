"""Every entry of a graph in one pass, tile by tile: what is counted, and what is kept of it."""
