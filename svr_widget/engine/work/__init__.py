"""Where maps are decomposed, here or by an executor, and where that is kept."""
