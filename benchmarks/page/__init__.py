"""From records to the sections of RESULTS.md."""
