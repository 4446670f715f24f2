"""The user's model: which of its modules hold maps, and inputs to try it with."""
