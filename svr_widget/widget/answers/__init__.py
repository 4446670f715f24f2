"""What the page asks for while it is shown."""
