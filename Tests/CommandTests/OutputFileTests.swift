import ForetokenTestSupport
import Glibc
import Testing
import foretoken

@Suite struct OutputFileTests {
    private let bytes = Array("a page".utf8)

    private func kind(_ error: (any Error)?) -> String { error.map { "\(type(of: $0))" } ?? "" }

    @Test func filesAreCreatedAndReplacedWhole() throws {
        let folder = try TemporaryFolder()
        try OutputFile.write(bytes, to: folder.path + "/page.html")
        #expect(try folder.read("page.html") == bytes)
        chmod(folder.path + "/page.html", 0o640)
        try OutputFile.write([], to: folder.path + "/page.html")
        #expect(try folder.read("page.html").isEmpty)
        var status = stat()
        #expect(stat(folder.path + "/page.html", &status) == 0 && status.st_mode & 0o777 == 0o640)
        #expect(try folder.names() == ["page.html"], "nothing else is left")
    }

    @Test func symbolicLinksStay() throws {
        let folder = try TemporaryFolder()
        try folder.write([], "real")
        symlink("real", folder.path + "/link")
        try OutputFile.write(bytes, to: folder.path + "/link")
        #expect(try folder.read("real") == bytes)
        #expect(try folder.names() == ["link", "real"])
        var status = stat()
        #expect(lstat(folder.path + "/link", &status) == 0 && status.st_mode & S_IFMT == S_IFLNK)
        // Those that lead to nothing yet as well; a trace that is to be made there has its name.
        symlink("later", folder.path + "/ahead")
        #expect(throws: (any Error).self) {
            try OutputFile.check(
                [("--one", folder.path + "/ahead")], appended: ("--other", folder.path + "/later"), inputs: [])
        }
        try OutputFile.write(bytes, to: folder.path + "/ahead")
        #expect(try folder.read("later") == bytes)
        #expect(lstat(folder.path + "/ahead", &status) == 0 && status.st_mode & S_IFMT == S_IFLNK)
    }

    @Test func longNamesAreNoTrouble() throws {
        let folder = try TemporaryFolder()
        let name = String(repeating: "n", count: 255)
        try OutputFile.write(bytes, to: folder.path + "/" + name)
        #expect(try folder.names() == [name])
        #expect(throws: (any Error).self) { try OutputFile.write(bytes, to: folder.path + "/" + name + "n") }
        #expect(try folder.names() == [name], "what could not be written leaves nothing behind")
    }

    @Test func pathsThatCannotNameAFileAreRefused() throws {
        let folder = try TemporaryFolder()
        try folder.write([], "file")
        for (path, complaint) in [
            ("", "empty"), (folder.path, "is a folder"), (folder.path + "/", "names a folder"),
            (folder.path + "/none/page.html", "does not exist"), (folder.path + "/file/page.html", "is not a folder"),
        ] {
            let error = #expect(throws: (any Error).self) { try OutputFile.write(bytes, to: path) }
            #expect(kind(error) == "UsageError" && "\(error, default: "")".contains(complaint), "\(path)")
        }
        #expect(try folder.names() == ["file"])
    }

    @Test func outputsMayNotBeOneFile() throws {
        let folder = try TemporaryFolder()
        let (path, detour) = (folder.path + "/new", folder.path + "/./new")
        let error = #expect(throws: (any Error).self) {
            try OutputFile.check([("--out", path), ("--report", detour)], inputs: [])
        }
        #expect(kind(error) == "UsageError")
        try OutputFile.check([("--out", path), ("--report", path + "er")], inputs: [])
    }

    @Test func devicesAreWrittenToAndNotReplaced() throws {
        try OutputFile.write(bytes, to: "/dev/null")
        let error = #expect(throws: (any Error).self) { try OutputFile.write(bytes, to: "/dev/full") }
        #expect(kind(error) == "OutputError" && "\(error, default: "")".contains("/dev/full"))
        var status = stat()
        #expect(stat("/dev/null", &status) == 0 && status.st_mode & S_IFMT == S_IFCHR)
    }

    @Test(.enabled(if: geteuid() != 0, "nothing is forbidden to root")) func whatIsForbiddenIsSaid() throws {
        let folder = try TemporaryFolder()
        try folder.write([], "file")
        chmod(folder.path + "/file", 0o400)
        #expect(throws: (any Error).self) { try OutputFile.write(bytes, to: folder.path + "/file") }
        chmod(folder.path, 0o500)
        defer { chmod(folder.path, 0o700) }
        #expect(throws: (any Error).self) { try OutputFile.write(bytes, to: folder.path + "/page.html") }
    }
}
