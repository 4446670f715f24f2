"""Spectral neurons joined by adjacencies; thresholds over them; modules that fold; their file."""
