"""Smaller copies of a model: neurons cut out of it, dead channels removed."""
