"""Increasing functions of one component at a time."""
