/// Something that was given was found but cannot be used: a file, a prompt, a setting that does not fit the model. The fault
/// is with whoever gave it.
public struct InputError: Error, CustomStringConvertible, Sendable {
    /// What is wrong, and what to do.
    public let description: String

    /// An error that says this.
    public init(_ description: String) { self.description = description }
}

/// What is asked for cannot be, whatever the files hold. The fault is with whoever asks.
public struct SettingsError: Error, CustomStringConvertible, Sendable {
    /// What is wrong, and what to do.
    public let description: String

    /// An error that says this.
    public init(_ description: String) { self.description = description }
}
