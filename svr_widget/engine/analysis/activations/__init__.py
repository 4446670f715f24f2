"""Data run through the model, filtered by ``V`` (paper, 2.2 and 4.1)."""
