import Bytes
import Commands
import Linux

/// Where images of s6-overlay have what process 1 reads, and where programs of such images look for what it has made.
enum OverlayFiles {
    /// s6-rc's source directories.
    static let definitions: ByteString = "/etc/s6-overlay/s6-rc.d"
    /// Who is to own which files, and with which permissions, before anything is run.
    static let attributes: ByteString = "/etc/fix-attrs.d"
    /// Where newer versions have the bundles of what is to be up.
    static let bundles: ByteString = "/etc/s6-overlay/user-bundles.d"
    /// Services in the way of the older versions.
    static let services: ByteString = "/etc/services.d"
    /// Programs that are run before services, and after them.
    static let (setUp, tearDown): (ByteString, ByteString) = (
        "/etc/cont-init.d", "/etc/cont-finish.d"
    )
    /// The scan directory that is made of all that.
    static let scanDirectory: ByteString = "/run/service"
    /// What is made besides, anew at each start of the container.
    static let state: ByteString = "/run/s6"
    static let results: ByteString = "/run/s6-linux-init-container-results"
    /// The environment of the container, a file for each variable.
    static let environment: ByteString = "\(state)/container_environment"

    /// Whether there is any of it. It costs four looks.
    static var areThere: Bool {
        [definitions, services, setUp, tearDown].contains { isDirectory($0) }
    }

    static func isDirectory(_ path: ByteString) -> Bool {
        do throws(SystemError) { return try status(of: path).isDirectory } catch { return false }
    }

    /// The names in a directory, sorted, without those that begin with a dot; none where there is no such directory.
    static func names(in path: ByteString) -> [ByteString] {
        do throws(SystemError) {
            var names = try entries(of: path).filter { !$0.hasPrefix(".") }
            names.sortByBytes()
            return names
        } catch { return [] }
    }

    /// Removes a file, or a directory with all that is in it. No link is followed.
    static func remove(_ path: ByteString) throws(SystemError) {
        do throws(SystemError) {
            guard try status(of: path, followLinks: false).isDirectory else {
                return try removeFile(path)
            }
        } catch {
            if error.errno == .noEntry { return }
            throw error
        }
        for name in try entries(of: path) { try remove("\(path)/\(name)") }
        try removeDirectory(path)
    }

    /// Makes a directory and those above it that are missing.
    static func make(_ path: ByteString, permissions: UInt32 = 0o755) throws(SystemError) {
        for (index, byte) in path.bytes.enumerated() where byte == UInt8(ascii: "/") && index > 0 {
            try makeOne(ByteString(path.bytes.prefix(index)), 0o755)
        }
        try makeOne(path, permissions)
    }

    private static func makeOne(_ path: ByteString, _ permissions: UInt32) throws(SystemError) {
        do throws(SystemError) { try makeDirectory(path, permissions: permissions) } catch {
            if error.errno != .exists { throw error }
        }
    }

    /// Makes a file that was not there.
    static func write(_ path: ByteString, _ content: ByteString) throws(SystemError) {
        let file = try openFile(path, .createNew)
        try writeAll(file.number, Array(content.bytes))
        try file.close()
    }

    /// Writes each variable of an environment into a file, with a newline after it.
    static func write(_ variables: Environment) throws(SystemError) {
        try make(environment, permissions: 0o700)
        for entry in variables.entries {
            guard let end = entry.bytes.firstIndex(of: UInt8(ascii: "=")) else { continue }
            let name = ByteString(entry.bytes[..<end])
            if name.isEmpty || name.contains(UInt8(ascii: "/")) || name.hasPrefix(".") { continue }
            try remove("\(environment)/\(name)")
            try write(
                "\(environment)/\(name)", "\(ByteString(entry.bytes[(end + 1)...]))\n")
        }
    }

    /// The exit code that somebody wrote for the container; nil where nobody did.
    static var exitCode: Int32? {
        do throws(SystemError) {
            let text = try contents(of: "\(results)/exitcode", limit: 64)
            let digits = text.prefix { $0 != UInt8(ascii: "\n") }
            return parseDecimal(ByteString(digits), within: 0...255).map { Int32($0) }
        } catch { return nil }
    }
}
