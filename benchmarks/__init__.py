"""What the performance claims rest on; run as `python -m benchmarks.NAME`."""
