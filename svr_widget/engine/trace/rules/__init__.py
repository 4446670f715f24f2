"""What operators do to channels: one file a family, and the table of all."""
