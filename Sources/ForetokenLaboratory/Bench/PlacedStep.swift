/// The time of a step as the parts that a whole model has other numbers of, in nanoseconds.
struct PlacedStep {
    /// Before the first layer and behind the last.
    var outside: Double
    /// One dense layer.
    var dense: Double
    /// One layer with experts.
    var moe: Double
    /// Distinct experts that such a layer read, mean.
    var distinct: Double
}
