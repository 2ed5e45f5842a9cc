// ForetokenHardware
