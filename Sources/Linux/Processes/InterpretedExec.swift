import Bytes
import CLinux

extension Invocation {
    /// Replaces this process in the manner of execvp(3), which differs from `execute` in two things: a file that is
    /// executable and no program is read by /bin/sh, and after one that may not be executed or cannot be reached only some
    /// errors make it look further. Returns only by throwing. exec(3).
    public func executeAsLibrary() throws(SystemError) -> Never {
        var last = SystemError("execve", .noEntry, subject: program)
        if program.isEmpty { throw last }
        for path in candidates {
            let error = failure(path)
            if !Invocation.goesOn(after: error.errno) { throw error }
            // Of all that were tried, the one that is there says most.
            if last.errno != .accessDenied { last = error }
        }
        if last.errno != .accessDenied, !program.contains(UInt8(ascii: "/")) {
            last = SystemError("execve", .noEntry, subject: program)
        }
        throw last
    }

    private static func goesOn(after errno: Errno) -> Bool {
        [EACCES, ENOENT, ESTALE, ENOTDIR, ENODEV, ETIMEDOUT].contains(errno.code)
    }

    /// Why the file could not be executed.
    private func failure(_ path: ByteString) -> SystemError {
        let error = Invocation.failure(path, arguments, environment)
        guard error.errno.code == ENOEXEC else { return error }
        return Invocation.failure(
            "/bin/sh", ["/bin/sh", path] + arguments.dropFirst(), environment)
    }

    private static func failure(
        _ path: ByteString, _ arguments: [ByteString], _ environment: Environment
    ) -> SystemError {
        do throws(SystemError) {
            try Invocation(path, arguments: arguments, environment: environment).execute()
        } catch { return error }
    }
}
