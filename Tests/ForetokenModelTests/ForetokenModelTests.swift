// ForetokenModelTests
