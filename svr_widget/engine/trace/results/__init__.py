"""What a pass is read for: links, heads of attention, parameters met on the way."""
