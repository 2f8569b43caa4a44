"""Flows of images, and the layers that need rows, columns and channels."""
