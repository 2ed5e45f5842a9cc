import ForetokenTestSupport
import FoundationEssentials
import Glibc

/// All formats: readers in this process, and the program as a whole.
enum Formats {
    static var all: [(name: String, make: @Sendable () throws -> Target)] { ReaderTargets.all + CommandTargets.all }

    static func make(_ name: String) -> (@Sendable () throws -> Target)? { all.first { $0.name == name }?.make }
}

/// What the command line asks for.
struct Arguments {
    var limit = Runner.Limit.seconds(60)
    var seed: UInt64 = 1
    var failures = "."
    var names: [String] = []

    /// - Throws: `Unclean` saying what is wrong with it.
    init(_ texts: [String]) throws {
        var rest = texts[...]
        func number(_ option: String) throws -> Int {
            guard let number = rest.popFirst().flatMap({ Int($0) }), number >= 0 else {
                throw Unclean("\(option) takes a number")
            }
            return number
        }
        while let text = rest.popFirst() {
            switch text {
            case "--seconds": limit = .seconds(try number(text))
            case "--inputs": limit = .inputs(try number(text))
            case "--seed": seed = UInt64(try number(text))
            case "--failures": failures = rest.popFirst() ?? "."
            default:
                guard Formats.make(text) != nil else {
                    throw Unclean(
                        "there is no format \(text); there are \(Formats.all.map(\.name).joined(separator: ", "))")
                }
                names.append(text)
            }
        }
        if names.isEmpty { names = Formats.all.map(\.name) }
    }
}

/// Reads every kept failure again; prints those that are still unclean.
func replay(_ folder: String, _ names: [String]) throws -> (passed: Int, failed: Int) {
    let scratch = try TemporaryFolder()
    var (passed, failed) = (0, 0)
    guard let files = try? FileManager.default.contentsOfDirectory(atPath: folder) else {
        throw Unclean("there is no folder \(folder) for failures")
    }
    for file in files.sorted() {
        let name = String(file.prefix { $0 != "." })
        guard names.contains(name) else { continue }
        let bytes = Array(try Data(contentsOf: URL(filePath: folder + "/" + file)))
        let ending = Runner.replay(bytes, name, scratch)
        if ending == .code(0) {
            passed += 1
        } else {
            failed += 1
            let errors = String(decoding: try scratch.read("errors-once").suffix(2000), as: UTF8.self)
            print("FAILED: \(file), \(ending.map(Runner.text) ?? "it cannot be run"): \(errors)")
        }
    }
    return (passed, failed)
}

/// Checks that what is damaged was sound: inputs that are refused anyway would prove nothing.
func checkSound() throws {
    var (passed, failed) = (0, 0)
    for (name, make) in Formats.all {
        let target = try make()
        for (number, bytes) in target.corpus.enumerated() {
            do {
                try target.read(bytes)
                passed += 1
            } catch {
                failed += 1
                print("FAILED: \(name), sound input \(number): \(error)")
            }
        }
    }
    print("\(passed) passed, \(failed) failed")
    exit(failed == 0 ? 0 : 1)
}

func main(_ arguments: [String]) throws {
    switch arguments.first {
    case "worker" where arguments.count == 6:
        guard let make = Formats.make(arguments[1]), let seed = UInt64(arguments[2]), let first = Int(arguments[3]),
            let count = Int(arguments[4])
        else { throw Unclean("a worker was started wrongly") }
        // A full file is an error of the program, not its end.
        signal(SIGXFSZ, SIG_IGN)
        Worker(name: arguments[1], target: try make(), seed: seed).run(first..<first + count, status: arguments[5])
    case "once" where arguments.count == 3:
        guard let make = Formats.make(arguments[1]) else { throw Unclean("there is no format \(arguments[1])") }
        signal(SIGXFSZ, SIG_IGN)
        let bytes = Array(try Data(contentsOf: URL(filePath: arguments[2])))
        Worker(name: arguments[1], target: try make(), seed: 0).run(bytes)
    case "sound" where arguments.count == 1:
        try checkSound()
    case "replay" where arguments.count == 2:
        let (passed, failed) = try replay(arguments[1], Formats.all.map(\.name))
        print("\(passed) passed, \(failed) failed")
        exit(failed == 0 ? 0 : 1)
    default:
        let wanted = try Arguments(arguments)
        let old = try replay(wanted.failures, wanted.names)
        var runner = try Runner(wanted.names, limit: wanted.limit, seed: wanted.seed, failures: wanted.failures)
        let new = try runner.run()
        print("\(old.passed + new.passed) passed, \(old.failed + new.failed) failed")
        exit(old.failed + new.failed == 0 ? 0 : 1)
    }
}

do {
    try main(Array(CommandLine.arguments.dropFirst()))
} catch {
    complain("error: \(error)")
    exit(2)
}
