import Bytes
import CLinux

/// A kind of socket that others connect or send to.
public enum ListeningSocketKind: CaseIterable, Sendable {
    /// TCP.
    case tcp
    /// UDP.
    case udp
    /// A UNIX-domain stream socket.
    case unix
    /// A UNIX-domain datagram socket.
    case unixDatagram
}

/// Opens a socket and, if it is one for connections, listens; `address` is `ADDRESS:PORT` or `[ADDRESS]:PORT`, as
/// numbers, or a path. IPv6's unspecified address takes IPv4 too. A UNIX-domain socket that was left behind is replaced.
/// The socket waits, as programs expect that it is passed to. socket(2), bind(2), listen(2).
public func openListeningSocket(
    _ kind: ListeningSocketKind, _ address: ByteString, backlog: Int32 = 4096,
    _ permissions: SocketPermissions = .inherited
) throws(SystemError) -> Descriptor {
    do throws(SystemError) {
        switch kind {
        case .tcp:
            let target = try numeric(address)
            let socket = try makeSocket(isIPv6: target.isIPv6)
            try set(.reuseAddress, true, of: socket.number)
            try bindIP(socket, target)
            try listen(socket, backlog: backlog)
            return socket
        case .udp:
            let target = try numeric(address)
            let socket = try makeDatagramSocket(isIPv6: target.isIPv6)
            try bindIP(socket, target)
            return socket
        case .unix:
            let socket = try makeUnixSocket()
            try bindReplacingAbandoned(socket, toPath: address, permissions)
            try listen(socket, backlog: backlog)
            return socket
        case .unixDatagram:
            let socket = try makeUnixDatagramSocket(nonBlocking: false)
            try bindReplacingAbandoned(socket, toPath: address, isDatagram: true, permissions)
            return socket
        }
    } catch { throw SystemError(error.call, error.errno, subject: address) }
}

private func numeric(_ address: ByteString) throws(SystemError) -> SocketAddress {
    guard let target = SocketAddress(numeric: address) else { throw SystemError("bind", .invalid) }
    return target
}

private func bindIP(_ socket: borrowing Descriptor, _ address: SocketAddress) throws(SystemError) {
    if address.isIPv6 { try set(.onlyIPv6, false, of: socket.number) }
    try bind(socket, to: address)
}
