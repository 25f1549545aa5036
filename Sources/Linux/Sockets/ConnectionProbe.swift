import Bytes
import CLinux

/// An attempt to connect, made to see whether somebody accepts: a readiness check. It never waits and looks up no name.
/// The connection is closed with this, without a byte sent. connect(2).
public struct ConnectionProbe: ~Copyable {
    /// Whom to try.
    public enum Target: Equatable, Sendable {
        /// TCP.
        case tcp(SocketAddress)
        /// The UNIX-domain stream socket at a path.
        case unix(ByteString)
    }

    /// What has come of it.
    public enum Outcome: Equatable, Sendable {
        /// Nothing yet.
        case pending
        /// Somebody listens there.
        case connected
        /// Nobody does, or it cannot be known.
        case failed(Errno)
    }

    /// Becomes writable, or hung up, when there is an outcome.
    public let descriptor: Descriptor

    /// Starts it. Throws what the kernel says at once, such as ECONNREFUSED, or EAGAIN where a UNIX-domain socket has no
    /// room for another connection.
    public init(_ target: Target) throws(SystemError) {
        switch target {
        case .tcp(let address):
            self = try ConnectionProbe(
                connecting: makeSocket(isIPv6: address.isIPv6, nonBlocking: true), to: address)
        case .unix(let path):
            let socket = try makeUnixSocket(nonBlocking: true)
            try connect(socket, toPath: path)
            descriptor = socket
        }
    }

    /// Starts it with a socket of TCP that does not wait.
    init(connecting socket: consuming Descriptor, to address: SocketAddress) throws(SystemError) {
        let number = socket.number
        do throws(SystemError) {
            _ = try Kernel.call("connect") { address.withRaw { systemConnect(number, $0, $1) } }
        } catch {
            if error.errno != .inProgress { throw error }
        }
        descriptor = socket
    }

    /// What has come of it until now. The kernel tells the cause of a failure once; asked again, it is ENOTCONN.
    /// poll(2), getsockopt(2) SO_ERROR.
    public borrowing func outcome() -> Outcome {
        let number = descriptor.number
        if !hasRoom(number) { return .pending }
        do throws(SystemError) {
            var cause: Int32 = 0
            var size = UInt32(4)
            _ = try Kernel.call("getsockopt") {
                getsockopt(number, SOL_SOCKET, SO_ERROR, &cause, &size)
            }
            if cause != 0 { return .failed(Errno(cause)) }
            guard let local = try localAddress(of: number),
                let remote = try remoteAddress(of: number),
                local == remote
            else { return .connected }
            // Where nobody listens, the port may have become this end's own, and TCP then connects it to itself. A
            // reset leaves it free for whom it is meant for.
            var linger: (Int32, Int32) = (1, 0)
            _ = try Kernel.call("setsockopt") {
                setsockopt(number, SOL_SOCKET, SO_LINGER, &linger, 8)
            }
            return .failed(.connectionRefused)
        } catch {
            return .failed(error.errno)
        }
    }
}
