"""Flows and densities in which each component depends on those before it."""
