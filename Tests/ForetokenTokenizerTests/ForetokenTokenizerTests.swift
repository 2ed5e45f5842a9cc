// ForetokenTokenizerTests
