import ArgumentParser
import ForetokenServer
import ForetokenText

/// Where the server listens and whom it answers.
struct NetworkFlags: ParsableArguments {
    @Option(help: ArgumentHelp("Name or address to listen at; 0.0.0.0 for all there are.", valueName: "host"))
    var host = "127.0.0.1"

    @Option(parsing: .unconditional, help: ArgumentHelp("Port; 0 for any that is free.", valueName: "port"))
    var port = 8080

    @Option(
        help: ArgumentHelp(
            "File with API keys, one a line: requests must bring one of them, but for /health and the page.",
            valueName: "f"))
    var apiKeyFile: String?

    @Option(
        parsing: .unconditionalSingleValue,
        help: ArgumentHelp(
            "Host name by which clients may call the server, besides localhost and addresses; may be repeated.",
            valueName: "name"))
    var allowHost: [String] = []

    @Option(
        parsing: .unconditionalSingleValue,
        help: ArgumentHelp(
            "Origin of web pages that may ask the server, such as https://example.org, or * for all; may be repeated.",
            valueName: "origin"))
    var allowOrigin: [String] = []

    func validate() throws {
        if !(0...65535).contains(port) { throw ValidationError("--port must be 0...65535, not \(port)") }
        if host.isEmpty { throw ValidationError("--host must not be empty") }
    }

    /// The same as plain values; the file is read.
    func settings() throws -> ServerSettings {
        var settings = ServerSettings()
        settings.host = host
        settings.port = port
        settings.hosts = allowHost
        settings.origins = allowOrigin
        if let apiKeyFile {
            let text = try InputFile.text(apiKeyFile, for: .keys)
            settings.keys = text.split(whereSeparator: \.isNewline).map { String($0.trimmingSpace) }.filter {
                !$0.isEmpty
            }
            // Otherwise everybody might ask.
            guard !settings.keys.isEmpty else { throw InputError("\(apiKeyFile) holds no API key") }
        }
        if let key = environment("FORETOKEN_API_KEY") { settings.keys.append(key) }
        return settings
    }
}

extension Substring {
    fileprivate var trimmingSpace: Substring {
        var rest = drop { $0.isWhitespace }
        while rest.last?.isWhitespace == true { rest.removeLast() }
        return rest
    }
}
