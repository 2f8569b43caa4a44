"""Where splits lie once they are read: caches, sources, folders."""
