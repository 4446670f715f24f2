"""What cells of a notebook display: the picture that follows it, and how it goes again."""
