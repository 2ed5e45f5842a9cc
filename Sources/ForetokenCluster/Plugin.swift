import CForetokenHosts
import Glibc

/// The library that knows MPI, loaded only where a launcher has started this process.
enum Plugin {
    typealias Hosts = UnsafeMutablePointer<foretoken_hosts>

    static let fileName = "libforetoken-mpi.so"
    /// Seconds in which all ranks must have come.
    private static let openSeconds: UInt32 = 60
    /// What rank 0 is given to speak first.
    private static let waitMicroseconds: UInt32 = 2_000_000

    /// Where it is: named by FORETOKEN_MPI_PLUGIN, or beside this program.
    static func path(environment: [String: String]) -> String {
        if let named = environment["FORETOKEN_MPI_PLUGIN"], !named.isEmpty { return named }
        return folderOfProgram() + "/" + fileName
    }

    private static func folderOfProgram() -> String {
        var path = [CChar](repeating: 0, count: Int(PATH_MAX) + 1)
        let length = readlink("/proc/self/exe", &path, Int(PATH_MAX))
        guard length > 0 else { return "." }
        let text = String(decoding: path.prefix(length).map { UInt8(bitPattern: $0) }, as: UTF8.self)
        return text.lastIndex(of: "/").map { String(text[..<$0]) } ?? "."
    }

    /// Loads it and joins the other ranks; the library stays loaded.
    /// - Throws: `ClusterError` where there is none, it has no MPI, or the ranks do not find one another.
    static func open(_ launch: Launch, environment: [String: String]) throws -> Hosts {
        let path = path(environment: environment)
        let hosts: Hosts
        do {
            hosts = try load(path, launch)
        } catch {
            // Mostly all ranks fail in the same way, and the launcher ends the others when rank 0 has ended.
            if launch.rank > 0 { usleep(waitMicroseconds) }
            throw error
        }
        guard Int(hosts.pointee.count) == launch.count else {
            let error = launch.wrongCount(Int(hosts.pointee.count), library: libraryName(hosts))
            // Ranks that are alone have nobody to wait for.
            if hosts.pointee.count == 1 { _ = hosts.pointee.close() }
            throw error
        }
        return hosts
    }

    private static func load(_ path: String, _ launch: Launch) throws -> Hosts {
        let host = HostName.own(rank: launch.rank).name
        guard let library = dlopen(path, RTLD_NOW | RTLD_LOCAL) else {
            let isThere = access(path, F_OK) == 0
            throw launch.noMPI(path, isThere ? String(cString: dlerror()) : "there is no such file", host: host)
        }
        guard let symbol = dlsym(library, "foretoken_hosts_open") else {
            throw launch.noMPI(path, "it is not Foretoken's (foretoken_hosts_open is missing)", host: host)
        }
        let opener = unsafeBitCast(symbol, to: foretoken_hosts_opener.self)
        var reason: UnsafePointer<CChar>?
        foretoken_end_within(
            openSeconds, ClusterError.otherCode,
            "foretoken: error: the ranks have not found one another within \(openSeconds) s\n")
        defer { foretoken_stay() }
        guard let hosts = opener(&reason) else {
            throw launch.noMPI(path, reason.map { String(cString: $0) } ?? "it does not say why", host: host)
        }
        guard hosts.pointee.version == FORETOKEN_HOSTS_VERSION else {
            throw launch.ownError(
                "\(path) is of version \(hosts.pointee.version), this program of \(FORETOKEN_HOSTS_VERSION). "
                    + "Hint: build both together.", host: host)
        }
        return hosts
    }

    /// What MPI calls itself.
    static func libraryName(_ hosts: Hosts) -> String {
        withUnsafeBytes(of: &hosts.pointee.library) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
    }
}
