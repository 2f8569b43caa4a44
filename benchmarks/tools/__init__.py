"""What measurements share: turns, timing, tables, counts of arithmetic."""
