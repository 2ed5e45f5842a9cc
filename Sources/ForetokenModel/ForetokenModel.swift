// ForetokenModel
