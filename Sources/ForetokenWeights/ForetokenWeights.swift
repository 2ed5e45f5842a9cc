// ForetokenWeights
