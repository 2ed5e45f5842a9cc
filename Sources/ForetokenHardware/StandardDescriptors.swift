import CForetokenSystem

/// Standard input, output and error as the process was given them.
public enum StandardDescriptors {
    /// Opens /dev/null on each of them that is closed; to be called before anything else can open a file. Otherwise the
    /// next file opened would take the free number: an answer would be written into a trace, or weights read as a prompt.
    ///
    /// Reading them then gives the end of the input; writing stays an error, so that no answer is lost silently.
    ///
    /// - Throws: `HardwareError` when /dev/null cannot be opened.
    public static func fill() throws {
        let error = foretoken_fill_standard_descriptors()
        if error != 0 { throw HardwareError.system("opening /dev/null for a closed standard descriptor", errno: error) }
    }
}
