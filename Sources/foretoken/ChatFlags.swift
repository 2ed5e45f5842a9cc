import ArgumentParser

/// How the model answers in its chat format.
struct ChatFlags: ParsableArguments {
    @Flag(
        inversion: .prefixedNo, exclusivity: .exclusive,
        help: "Lets the model think before it answers, or not, in place of the chat format's own choice.")
    var thinking: Bool?
}
