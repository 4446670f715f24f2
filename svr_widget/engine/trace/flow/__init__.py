"""What travels through a forward pass: labels, carriers, steps; and one call."""
