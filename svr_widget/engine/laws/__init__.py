"""The laws of chance: of an entry of an adjacency, of a block, of singular values."""
