"""MAF's tables: their files, processing and values; how they are prepared and read."""
