"""The sides of benchmarks that compare several."""
