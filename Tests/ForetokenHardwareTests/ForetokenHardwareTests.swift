// ForetokenHardwareTests
