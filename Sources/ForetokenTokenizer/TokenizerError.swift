import ForetokenJSON

/// Why a tokenizer could not be made, or a text could not be encoded.
public enum TokenizerError: Error, Equatable, CustomStringConvertible {
    /// A file is not what its format promises. `file` is its customary name, `reason` says what was expected and found.
    case damaged(file: String, reason: String)
    /// The file is sound but asks for something this tokenizer does not do.
    case unsupported(file: String, feature: String)
    /// The text to encode stops being UTF-8 at this byte.
    case invalidUTF8(offset: Int)
    /// One call can encode at most 2³¹ − 1 bytes.
    case textTooLong(bytes: Int)
    /// The pre-tokenizer's expression gave up, so no trustworthy tokens exist. `offset` is a byte of the text.
    case patternFailed(pattern: String, offset: Int, reason: String)
    /// The conversation cannot be written in the checkpoint's chat format.
    case chat(reason: String)

    /// What was expected, what was found, and what to do.
    public var description: String {
        switch self {
        case .damaged(let file, let reason):
            "\(file) is damaged: \(reason). Fetch the file again from the checkpoint's origin."
        case .unsupported(let file, let feature):
            "\(file) asks for \(feature), which is not supported: "
                + "expected a byte-level BPE tokenizer in the manner of DeepSeek-V3."
        case .invalidUTF8(let offset):
            "The text is not valid UTF-8: the first bad byte is at offset \(offset)."
        case .textTooLong(let bytes):
            "The text has \(bytes) bytes; one call takes at most \(Int32.max). Encode it in parts."
        case .patternFailed(let pattern, let offset, let reason):
            "The pre-tokenizer's expression \(pattern) failed at byte \(offset) of the text: \(reason)."
        case .chat(let reason):
            reason
        }
    }
}

extension TokenizerError {
    /// What reading a file threw, as an error of this kind.
    init(_ error: any Error, file: String, size: Int) {
        switch error {
        case let error as TokenizerError: self = error
        case let error as JSONError:
            let place = error.offset.map { ", at byte \($0) of \(size)" } ?? ""
            self = .damaged(file: file, reason: error.reason + place)
        default: self = .damaged(file: file, reason: "\(error)")
        }
    }
}
