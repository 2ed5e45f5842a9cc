// ForetokenSpeculationTests
