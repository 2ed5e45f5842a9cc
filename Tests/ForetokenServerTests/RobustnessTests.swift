import ForetokenJSON
import ForetokenServer
import Glibc
import Synchronization
import Testing

extension ServerTests {
    @Suite struct Robustness {
        private static let long = "\"stream\":true,\"ignore_eos\":true,\"max_tokens\":100000,\"seed\":1"

        private func status(_ server: TestServer) async throws -> JSONValue {
            try await ask(server.port, "GET", "/foretoken/status").json
        }

        /// Waits until the server has so many texts.
        private func wait(_ server: TestServer, running: Int, waiting: Int = 0) async throws {
            for _ in 0..<6000 {
                let found = try await status(server)
                if found["running"]?.integer == running && found["waiting"]?.integer == waiting { return }
                try await Task.sleep(for: .milliseconds(10))
            }
            Issue.record("\(try await status(server).text)")
        }

        private func begin(_ server: TestServer, _ members: String) async throws -> Connection {
            let port = server.port
            return try await blocking {
                let connection = try Connection(port: port)
                let body = "{\"messages\":[{\"role\":\"user\",\"content\":\"Hi\"}],\(members)}"
                try connection.send(requestText("POST", "/v1/chat/completions", [:], body))
                return connection
            }
        }

        enum Leaving: CaseIterable { case close, reset, halfClose }

        @Test("A client that goes frees its place, whatever it waits for", arguments: Leaving.allCases)
        func disconnect(way: Leaving) async throws {
            try await TestServer.run({
                $0.parallel = 1
                $0.context = 4096
            }) { server in
                let first = try await begin(server, Self.long)
                _ = try await blocking { try first.read(until: "\"content\":\"") }
                let queued = try await begin(server, "\"max_tokens\":5,\"stream\":false")
                try await wait(server, running: 1, waiting: 1)
                for connection in [queued, first] {
                    switch way {
                    case .close: connection.close()
                    case .reset: connection.reset()
                    case .halfClose: connection.halfClose()
                    }
                    try await wait(server, running: connection === first ? 0 : 1)
                }
                var metrics = ""
                // The engine tells of pages when it has done with the text.
                for _ in 0..<6000 where !metrics.contains("foretoken_pages{state=\"used\"} 0") {
                    try await Task.sleep(for: .milliseconds(10))
                    metrics = try await ask(server.port, "GET", "/metrics").text
                }
                #expect(metrics.contains("foretoken_cancelled_total{reason=\"disconnected\"} 2"))
                #expect(metrics.contains("foretoken_pages{state=\"used\"} 0"))
                #expect(try await server.chat("\"max_tokens\":2").status == 200)
            }
        }

        @Test("Clients that go before an answer begins leave nothing behind")
        func leavingAtOnce() async throws {
            try await TestServer.run { server in
                for _ in 0..<200 { try await begin(server, "\"max_tokens\":1,\"stream\":true").reset() }
                for _ in 0..<6000 where !server.server.desk.isIdle { try await Task.sleep(for: .milliseconds(10)) }
                #expect(server.server.desk.isIdle, "or the server would wait for them at its end")
            }
        }

        @Test("A client that does not read is not waited for")
        func slow() async throws {
            try await TestServer.run({
                $0.context = 4096
                $0.settings.limits.unreadTokens = 100
            }) { server in
                let port = server.port
                let connection = try await blocking {
                    let connection = try Connection(port: port, receiveBuffer: 4096)
                    let body = "{\"prompt\":\"a\",\"n\":16,\"stream\":true,\"ignore_eos\":true,\"max_tokens\":4000}"
                    try connection.send(requestText("POST", "/v1/completions", [:], body))
                    return connection
                }
                var metrics = ""
                for _ in 0..<6000 where !metrics.contains("foretoken_cancelled_total{reason=\"slow\"} 1") {
                    try await Task.sleep(for: .milliseconds(10))
                    metrics = try await ask(port, "GET", "/metrics").text
                }
                #expect(metrics.contains("foretoken_cancelled_total{reason=\"slow\"} 1"))
                try await wait(server, running: 0)
                try await hangsUp(port)
                let rest = try await blocking { String(decoding: connection.readAvailable(), as: UTF8.self) }
                #expect(!rest.contains("[DONE]"))
                connection.close()
            }
        }

        /// Waits until the server has no connection but the one that asks. What the client then has still to read is the
        /// system's to give, as slowly as it likes.
        private func hangsUp(_ port: Int) async throws {
            var connections = -1
            for _ in 0..<6000 where connections != 1 {
                try await Task.sleep(for: .milliseconds(10))
                connections = try await ask(port, "GET", "/foretoken/status").json["connections"]?.integer ?? -1
            }
            #expect(connections == 1, "the one that asks")
        }

        @Test("Nor when all of its answer is there")
        func slowAtTheEnd() async throws {
            try await TestServer.run({
                $0.context = 4096
                $0.settings.limits.stallSeconds = 0.5
            }) { server in
                let port = server.port
                let connection = try await blocking {
                    let connection = try Connection(port: port, receiveBuffer: 4096)
                    let body =
                        "{\"prompt\":\"a\",\"n\":4,\"ignore_eos\":true,\"max_tokens\":1500,\"logprobs\":20}"
                    try connection.send(requestText("POST", "/v1/completions", [:], body))
                    return connection
                }
                try await wait(server, running: 4)
                try await wait(server, running: 0)
                try await hangsUp(port)
                connection.close()
            }
        }

        @Test("The queue has an end, and says when to come again")
        func crowded() async throws {
            try await TestServer.run({
                $0.parallel = 1
                $0.settings.mostWaiting = 1
                $0.context = 4096
            }) { server in
                let first = try await begin(server, Self.long)
                let second = try await begin(server, Self.long)
                try await wait(server, running: 1, waiting: 1)
                let refused = try await server.chat("\"max_tokens\":2")
                #expect(refused.status == 429)
                #expect(try refused.json["error"]?["code"]?.string == "rate_limit_exceeded")
                #expect(Int(refused.headers["retry-after"] ?? "") != nil)
                // What can never be is no matter of waiting.
                let many = try await server.chat("\"max_tokens\":2,\"n\":3")
                #expect(try many.status == 400 && many.json["error"]?["param"]?.string == "n")
                first.close()
                second.close()
                try await wait(server, running: 0)
                #expect(try await server.chat("\"max_tokens\":2").status == 200)
            }
        }

        @Test("Requests under way end in order while new ones are refused")
        func drain() async throws {
            try await TestServer.run({ $0.context = 4096 }) { server in
                let stream = try await begin(
                    server, "\"stream\":true,\"ignore_eos\":true,\"max_tokens\":600,\"seed\":1")
                _ = try await blocking { try stream.read(until: "\"content\":\"") }
                server.server.stop()
                var refused: Response?
                for _ in 0..<100 where refused?.status != 503 {
                    refused = try? await server.chat("\"max_tokens\":1")
                }
                #expect(refused?.status == 503 && refused?.headers["x-should-retry"] == "true")
                let rest = try await blocking { try stream.read(until: "[DONE]") }
                #expect(rest.contains("\"finish_reason\":\"length\"") && !rest.contains("\"error\""))
                try await server.wait()
            }
        }

        @Test("What takes longer than the drain allows is cut short, and told so")
        func drainEnds() async throws {
            try await TestServer.run({
                $0.context = 4096
                $0.settings.drainSeconds = 0.05
            }) { server in
                let whole = try await begin(server, "\"ignore_eos\":true,\"max_tokens\":4000,\"n\":8")
                try await wait(server, running: 8)
                let stream = try await begin(server, Self.long)
                _ = try await blocking { try stream.read(until: "\"content\":\"") }
                server.server.stop()
                let rest = try await blocking { try stream.read(until: "[DONE]") }
                #expect(rest.contains("\"finish_reason\":\"length\"") && rest.contains("\"code\":\"shutting_down\""))
                let part = try Response(try await blocking { try whole.readAll() })
                #expect(try part.status == 503 && part.json["error"]?["code"]?.string == "shutting_down")
                try await server.wait()
            }
        }

        @Test("The server answers that it loads while it does")
        func loading() async throws {
            let gate = Gate()
            try await TestServer.run({
                $0.waitsForModel = false
                $0.beforeLoading = { desk in
                    desk.setLoaded(0.25)
                    gate.wait()
                }
            }) { server in
                var health = try await ask(server.port, "GET", "/health")
                for _ in 0..<100 where try health.json["progress"]?.double != 0.25 {
                    health = try await ask(server.port, "GET", "/health")
                }
                #expect(health.status == 503 && health.headers["retry-after"] != nil)
                #expect(try health.json["error"]?["message"]?.string == "the model is being loaded: 25 % done")
                #expect(try health.json["status"]?.string == "loading")
                #expect(try await server.chat("\"max_tokens\":1").status == 503)
                gate.open()
                for _ in 0..<1000 where health.status != 200 {
                    try await Task.sleep(for: .milliseconds(10))
                    health = try await ask(server.port, "GET", "/health")
                }
                #expect(health.text == "{\"status\":\"ok\"}")
            }
        }

        @Test("Slow and broken clients are not waited for")
        func limits() async throws {
            try await TestServer.run({
                $0.settings.limits.headSeconds = 0.5
                $0.settings.limits.bodySeconds = 0.5
                $0.settings.limits.idleSeconds = 0.5
                $0.settings.limits.bodyBytes = 2000
            }) { server in
                let port = server.port
                func exchange(_ parts: String...) async throws -> [UInt8] {
                    try await blocking {
                        let connection = try Connection(port: port)
                        for part in parts { try connection.send(part) }
                        return try connection.readAll()
                    }
                }
                #expect(try await exchange("POST /v1/chat").isEmpty, "a head that never ends")
                let body = try Response(
                    await exchange(requestText("POST", "/tokenize", ["Content-Length": "50"]), "{\""))
                #expect(body.status == 408)
                let idle = try await exchange(requestText("GET", "/version"))
                #expect(try Response(idle).status == 200, "closed by the server when nothing follows")
                let nonsense = try Response(await exchange("what is this\r\n\r\n"))
                #expect(nonsense.status == 400)
                #expect(try nonsense.json["error"] != nil)
                let head = try Response(
                    await exchange(requestText("GET", "/version", ["X-Long": .init(repeating: "a", count: 40_000)])))
                #expect(head.status == 431)
                let declared = try Response(
                    await exchange(requestText("POST", "/tokenize", ["Content-Length": "5000"])))
                #expect(declared.status == 413)
                #expect(try declared.json["error"]?["code"]?.string == "request_too_large")
                let chunked = try Response(
                    await exchange(
                        "POST /tokenize HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n",
                        "bb8\r\n" + .init(repeating: " ", count: 3000) + "\r\n"))
                #expect(chunked.status == 413)
                let deep = try await ask(
                    port, "POST", "/tokenize", [:], "{\"prompt\":" + .init(repeating: "[", count: 100))
                #expect(deep.status == 400 && deep.text.contains("64 levels"))
                let expected = try await blocking {
                    let connection = try Connection(port: port)
                    let request = requestText("POST", "/detokenize", ["Expect": "100-continue"], "{\"tokens\":[74]}")
                    let parts = request.split(separator: "\r\n\r\n", maxSplits: 1)
                    try connection.send(parts[0] + "\r\n\r\n")
                    let interim = try connection.read(until: "\r\n\r\n")
                    try connection.send(String(parts[1]))
                    return interim + (try connection.read(until: "content"))
                }
                #expect(expected.hasPrefix("HTTP/1.1 100") && expected.contains("HTTP/1.1 200"))
            }
        }

        @Test("Who is refused before everything is sent gets the answer all the same")
        func refusedEarly() async throws {
            try await TestServer.run { server in
                let port = server.port
                let response = try await blocking {
                    let connection = try Connection(port: port)
                    let part = String(repeating: "a", count: 100_000)
                    try connection.send(requestText("POST", "/nothing", ["Content-Length": "1000000"], part))
                    for _ in 0..<9 {
                        usleep(10_000)
                        try connection.send(part)
                    }
                    return try connection.readAll()
                }
                let refused = try Response(response)
                #expect(refused.status == 404 && refused.headers["connection"] == "close")
                #expect(try refused.json["error"]?["code"]?.string == "not_found")
                let declared = try await blocking {
                    let connection = try Connection(port: port)
                    try connection.send(requestText("POST", "/tokenize", ["Content-Length": "99999999"], "{"))
                    return try connection.readAll()
                }
                #expect(try Response(declared).status == 413, "and is not waited for")
            }
        }

        @Test("Several requests go over one connection")
        func keepAlive() async throws {
            try await TestServer.run { server in
                let port = server.port
                let texts = try await blocking {
                    let connection = try Connection(port: port)
                    let body = "{\"prompt\":\"a\",\"max_tokens\":3,\"temperature\":0,\"stream\":true}"
                    return try (0..<3).map { _ in
                        try connection.send(requestText("POST", "/completions", [:], body))
                        return try connection.read(until: "[DONE]\n\n\r\n0\r\n\r\n")
                    }
                }
                #expect(texts.allSatisfy { $0.contains("200 OK") && $0.contains("\"finish_reason\":\"length\"") })
            }
        }

        @Test("A stream without news gets comments")
        func pings() async throws {
            try await TestServer.run({
                $0.parallel = 1
                $0.context = 4096
                $0.settings.limits.pingSeconds = 0.5
            }) { server in
                let first = try await begin(server, "\"ignore_eos\":true,\"max_tokens\":100000,\"n\":16")
                try await wait(server, running: 1, waiting: 15)
                let second = try await begin(server, "\"max_tokens\":3,\"stream\":true")
                let text = try await blocking { try second.read(until: ": ping") }
                #expect(text.contains("200 OK") && !text.contains("data:"))
                first.close()
                let rest = try await blocking { try second.read(until: "[DONE]") }
                #expect(rest.contains("finish_reason"))
            }
        }
    }
}

/// Something to wait at, on threads.
final class Gate: Sendable {
    private let isOpen = Atomic(false)
    func open() { isOpen.store(true, ordering: .releasing) }
    func wait() { while !isOpen.load(ordering: .acquiring) { usleep(1000) } }
}
