"""Spectral neurons joined by adjacencies; thresholds over them; their file."""
