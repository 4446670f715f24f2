"""Files of weights as they are met: what they are, and where in them the weights are."""
