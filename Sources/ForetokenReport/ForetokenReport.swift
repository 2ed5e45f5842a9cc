// ForetokenReport
