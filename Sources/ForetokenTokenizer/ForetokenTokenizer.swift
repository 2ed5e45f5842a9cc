// ForetokenTokenizer
