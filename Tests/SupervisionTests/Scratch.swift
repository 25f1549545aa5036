import Bytes
import Commands
import Foundation
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

    func link(_ name: ByteString, to target: ByteString) throws {
        let result = target.withCString { target in
            ("\(path)/\(name)" as ByteString).withCString { symlink(target, $0) }
        }
        if result == -1 { throw CocoaError(.fileWriteUnknown) }
    }
}
