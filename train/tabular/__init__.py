"""What a trained run is asked about rows: scores of new ones, and samples, in the columns of its own files."""
