"""One file per published experiment; `default.py` documents the shared fields."""
