import Bytes
import Linux

/// A connection that is being made.
struct PendingConnection {
    enum State { case connected, pending, failed }
    init(tcp address: ByteString) throws(SystemError) { throw SystemError("connect", .invalid) }
    init(unix path: ByteString) throws(SystemError) { throw SystemError("connect", .invalid) }
    func check() -> State { .failed }
}
