"""What norms and other stored factors on links do to the maps beside them."""
