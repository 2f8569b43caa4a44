"""Many seeds of one config: their training, curves, metrics and statistics."""
