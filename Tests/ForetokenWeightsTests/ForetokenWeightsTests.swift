// ForetokenWeightsTests
