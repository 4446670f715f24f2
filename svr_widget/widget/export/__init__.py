"""The widget as a page, as a picture file, and as a picture in a saved notebook."""
