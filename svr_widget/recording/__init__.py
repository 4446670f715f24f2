"""Training runs: checkpoints as they are taken, kept, and followed neuron by neuron."""
