import Bytes
import Linux

/// An attempt to connect that is kept while there is no outcome.
final class PendingConnection {
    private let probe: ConnectionProbe

    /// Starts to connect to `ADDRESS:PORT`.
    init(tcp address: ByteString) throws(SystemError) {
        guard let target = SocketAddress(numeric: address) else {
            throw SystemError("connect", .invalid, subject: address)
        }
        probe = try ConnectionProbe(.tcp(target))
    }

    /// Starts to connect to the socket at a path.
    init(unix path: ByteString) throws(SystemError) { probe = try ConnectionProbe(.unix(path)) }

    /// What has come of it.
    func check() -> ConnectionProbe.Outcome { probe.outcome() }
}
