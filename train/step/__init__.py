"""One training step and what it is made of: state, keys, devices, evaluation, stopping."""
