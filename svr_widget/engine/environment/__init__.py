"""The process that we are guests in: the caller's settings, and the files that are written."""
