"""One file per published experiment; `python -m train.main --help` has the fields that they set."""
