"""The graph on screen, computed in a thread; the frames of a timeline."""
