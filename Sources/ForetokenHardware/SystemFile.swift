import Glibc

/// The small text files of /sys and /proc. `Findings` reads them for those who can do without.
enum SystemFile {
    /// Far above any file that is read here except /proc/cpuinfo of a large machine.
    static let byteLimit = 16 << 20

    /// The text of a file, or nil when there is none: kernels differ in what they show.
    static func text(_ path: String) throws -> String? {
        let file = open(path, O_RDONLY | O_CLOEXEC)
        guard file >= 0 else {
            let code = errno
            if code == ENOENT || code == ENOTDIR { return nil }
            throw HardwareError.system("opening \(path)", errno: code)
        }
        defer { close(file) }
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 1 << 16)
        while true {
            let count = read(file, &chunk, chunk.count)
            if count == 0 { return String(decoding: bytes, as: UTF8.self) }
            if count < 0 {
                let code = errno
                if code == EINTR { continue }
                throw HardwareError.system("reading \(path)", errno: code)
            }
            bytes += chunk[..<count]
            guard bytes.count <= byteLimit else {
                throw HardwareError(.file, "\(path) is longer than \(byteLimit) bytes; it should be a short text")
            }
        }
    }

    /// Whether there is a file, readable or not.
    static func exists(_ path: String) -> Bool {
        let file = open(path, O_RDONLY | O_CLOEXEC)
        guard file < 0 else {
            close(file)
            return true
        }
        return errno != ENOENT && errno != ENOTDIR
    }

    /// The text without surrounding white space, or nil when there is no file.
    static func line(_ path: String) throws -> String? { try text(path).map { String(trimmed($0)) } }

    /// A whole number of one line, or nil when there is no file.
    static func integer(_ path: String) throws -> Int? {
        guard let line = try line(path) else { return nil }
        guard let number = Int(line) else {
            throw HardwareError(.file, "\(path): expected a number, found \"\(line.prefix(80))\"")
        }
        return number
    }

    /// The word in brackets of a line like "always [madvise] never", or nil when there is no file.
    static func choice(_ path: String) throws -> String? {
        guard let line = try line(path) else { return nil }
        let chosen = line.split(separator: " ").filter { $0.hasPrefix("[") && $0.hasSuffix("]") && $0.count > 2 }
        guard chosen.count == 1 else {
            throw HardwareError(
                .file,
                "\(path): expected words with the chosen one in brackets, as in always [madvise] never, "
                    + "found \"\(line.prefix(80))\"")
        }
        return String(chosen[0].dropFirst().dropLast())
    }

    /// A list like 0-3,8-11 of numbers below `limit`, or nil when there is no file.
    static func list(_ path: String, below limit: Int) throws -> [Int]? {
        try text(path).map { try NumberList.parse($0, below: limit, source: path) }
    }

    /// The value of the first line `key: value`, or nil when there is none.
    static func field(_ key: String, in text: String) -> String? {
        for line in text.split(separator: "\n") {
            guard let colon = line.firstIndex(of: ":"), trimmed(line[..<colon]) == key else { continue }
            return String(trimmed(line[line.index(after: colon)...]))
        }
        return nil
    }

    static func trimmed(_ text: some StringProtocol) -> Substring {
        var rest = Substring(text)
        while rest.first?.isWhitespace == true { rest.removeFirst() }
        while rest.last?.isWhitespace == true { rest.removeLast() }
        return rest
    }

    /// 4 PiB, the most memory that a processor of today can address: figures can be added up without overflow.
    static let mostBytes = 1 << 52

    /// Bytes from a figure like "32768K", "32M" or "123 kB", or nil when it is none or above `mostBytes`.
    static func byteCount(_ figure: String) -> Int? {
        let digits = figure.prefix { $0.isASCII && $0.isNumber }
        let shift: Int
        switch trimmed(figure[digits.endIndex...]).uppercased() {
        case "", "B": shift = 0
        case "K", "KB": shift = 10
        case "M", "MB": shift = 20
        case "G", "GB": shift = 30
        default: return nil
        }
        guard let number = Int(digits) else { return nil }
        let (bytes, overflow) = number.multipliedReportingOverflow(by: 1 << shift)
        return overflow || bytes > mostBytes ? nil : bytes
    }
}
