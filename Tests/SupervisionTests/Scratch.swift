import Bytes
import Commands
import Linux
import Testing

@testable import Supervision

/// A directory that lives as long as this object.
final class Scratch {
    let path: ByteString

    init() throws {
        // The thread's stack tells parallel tests apart, the process parallel runs.
        var number: UInt64 = Instant.now.nanoseconds
        var path: ByteString = ""
        while true {
            path = "/tmp/apus-\(CurrentProcess.id)-\(number)"
            do throws(SystemError) {
                try makeDirectory(path, permissions: 0o700)
                break
            } catch {
                if error.errno != .exists { throw error }
                number += 1
            }
        }
        self.path = path
    }

    deinit {
        do {
            let remover = Invocation(
                "/bin/rm", arguments: ["rm", "-rf", path], environment: Environment())
            _ = try reap(try spawn(remover), block: true)
        } catch {}
    }

    /// A service directory that is to start down, so that nothing is ever run.
    func service(_ name: ByteString, logged: Bool = false) throws {
        try makeDirectory("\(path)/\(name)", permissions: 0o755)
        try file("\(name)/down")
        if logged { try service("\(name)/log") }
    }

    func file(_ name: ByteString) throws {
        _ = try openFile("\(path)/\(name)", .truncate)
    }

    /// How many descriptors of this process are open below the directory.
    var openDescriptors: Int {
        get throws {
            try entries(of: "/proc/self/fd").count { name in
                do throws(SystemError) {
                    return try readLink("/proc/self/fd/\(name)").hasPrefix(path)
                } catch { return false }
            }
        }
    }

    /// Does `body` again while a lock is not free: a child that another test starts has a copy of
    /// every descriptor of this process until its exec.
    func onceUnlocked(_ body: () throws -> Bool) throws {
        for _ in 0..<1000 {
            if try body() { return }
            pause(until: Instant.now.advanced(milliseconds: 10))
        }
        Issue.record("it is locked for ten seconds")
    }

    /// Supervises a directory whose lock may not be free yet.
    func supervise(_ path: ByteString, with supervisor: Supervisor) throws {
        try onceUnlocked {
            do throws(Failure) {
                try supervisor.supervise(directory: path)
                return true
            } catch {
                if error.errno != .again { throw error }
                return false
            }
        }
    }

    /// A supervisor for use on this thread, which gets its signals back after.
    func withSupervisor(_ body: (Supervisor) throws -> Void) throws {
        let before = try SignalSet(.child).block()
        defer { do { _ = try before.block() } catch {} }
        let configuration = Supervisor.Configuration(signals: SignalSet(.child))
        try body(try Supervisor(configuration, messages: Messages(program: "test")))
    }
}
