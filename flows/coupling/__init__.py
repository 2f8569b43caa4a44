"""Flows in which one part of x says what happens to the other."""
