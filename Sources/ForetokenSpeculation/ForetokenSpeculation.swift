// ForetokenSpeculation
