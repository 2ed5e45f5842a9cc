/// The middle of the samples; NaN without any.
func median(_ samples: [Double]) -> Double {
    let sorted = samples.sorted()
    guard !sorted.isEmpty else { return .nan }
    return (sorted[(sorted.count - 1) / 2] + sorted[sorted.count / 2]) / 2
}

/// The mean of the samples; 0 without any.
func mean(_ samples: [Double]) -> Double { samples.reduce(0, +) / Double(max(1, samples.count)) }
