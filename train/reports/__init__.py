"""Runs and studies side by side, as Markdown and HTML."""
