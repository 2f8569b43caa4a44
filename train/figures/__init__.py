"""Pictures of runs, as PNG bytes."""
