import Glibc
import Testing

extension EngineTests {
    @Suite struct Serving {
        /// Starts a server on a free port and waits until it is ready.
        private func start(_ arguments: [String] = []) throws -> (server: Command, port: Int) {
            let server = try Command(["serve", "--port", "0"] + arguments)
            server.wait { server.outputSoFar.hasSuffix("\n") }
            let line = server.outputSoFar
            try #require(line.hasPrefix("foretoken serves on http://127.0.0.1:"), "\(line)")
            let port = try #require(Int(line.dropLast().split(separator: ":").last ?? ""))
            return (server, port)
        }

        private func connect(_ port: Int) throws -> Int32 {
            let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
            var address = sockaddr_in()
            address.sin_family = sa_family_t(AF_INET)
            address.sin_port = in_port_t(UInt16(port).bigEndian)
            address.sin_addr.s_addr = inet_addr("127.0.0.1")
            let status = withUnsafePointer(to: &address) {
                $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                    Glibc.connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
                }
            }
            try #require(status == 0)
            return descriptor
        }

        private func send(_ descriptor: Int32, _ path: String, _ body: String) {
            let request = Array(
                ("POST \(path) HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: \(body.utf8.count)"
                    + "\r\n\r\n\(body)").utf8)
            #expect(Glibc.send(descriptor, request, request.count, Int32(MSG_NOSIGNAL)) == request.count)
        }

        private func readAll(_ descriptor: Int32) -> String {
            var (text, buffer) = ([UInt8](), [UInt8](repeating: 0, count: 1 << 16))
            while true {
                let count = recv(descriptor, &buffer, buffer.count, 0)
                if count <= 0 { break }
                text += buffer[..<count]
            }
            close(descriptor)
            return String(decoding: text, as: UTF8.self)
        }

        @Test func aServedTextIsThatOfGenerate() throws {
            let generated = try Command.generate(prompt, "--max-tokens", "30", "--temperature", "0.8", "--seed", "9")
            let (server, port) = try start(["--served-model-name", "mine", "--served-model-name", "other"])
            let descriptor = try connect(port)
            let ids = generated.prompt_tokens.map { "\($0)" }.joined(separator: ",")
            send(
                descriptor, "/v1/completions",
                "{\"prompt\":[\(ids)],\"max_tokens\":30,\"temperature\":0.8,\"seed\":9,\"return_token_ids\":true,"
                    + "\"model\":\"other\"}")
            let answer = readAll(descriptor)
            let tokens = generated.tokens.map { "\($0)" }.joined(separator: ",")
            #expect(answer.contains("\"token_ids\":[\(tokens)]") && answer.contains("\"model\":\"other\""), "\(answer)")
            server.signal(SIGTERM)
            let outcome = try server.finish()
            #expect(outcome.status == 0, "\(outcome.errors)")
            #expect(outcome.output == "foretoken serves on http://127.0.0.1:\(port)\n")
        }

        @Test("The first signal lets a request end, the second ends the program")
        func signals() throws {
            for signals in [1, 2] {
                let (server, port) = try start(signals == 1 ? ["--drain", "0"] : [])
                let descriptor = try connect(port)
                send(
                    descriptor, "/v1/completions",
                    "{\"prompt\":\"a\",\"max_tokens\":4000,\"n\":8,\"ignore_eos\":true,\"stream\":true}")
                var buffer = [UInt8](repeating: 0, count: 2000)
                #expect(recv(descriptor, &buffer, buffer.count, 0) > 0)
                server.signal(SIGTERM)
                if signals == 2 {
                    usleep(100_000)
                    server.signal(SIGTERM)
                }
                let rest = readAll(descriptor)
                #expect(rest.contains("[DONE]") == (signals == 1))
                #expect(try server.finish().status == (signals == 1 ? 0 : 130))
            }
        }

        @Test func aPortThatIsTakenAndAModelThatCannotBeLoadedAreErrors() throws {
            let (server, port) = try start()
            let second = try Command(["serve", "--port", "\(port)"]).finish()
            #expect(second.status == 1 && second.errors.contains("cannot listen at 127.0.0.1, port \(port)"))
            server.signal(SIGTERM)
            #expect(try server.finish().status == 0)
            let damaged = try Command(["serve", "--port", "0", "--model", "/no/such/folder"]).finish()
            #expect(damaged.status == 2 && damaged.output.isEmpty)
        }
    }
}
