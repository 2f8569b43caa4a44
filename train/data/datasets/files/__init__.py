"""Files of any kind, from their paths to the rows that are trained on."""
