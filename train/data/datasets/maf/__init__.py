"""MAF's tables: files, processing, where they are found."""
