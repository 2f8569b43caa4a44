"""A package of somebody else: models, a dataset and a preset for the trainer."""
