import Bytes
import CLinux

// glibc declares an address as a transparent union and musl as a pointer, which Swift sees as two
// types; it is the same pointer.
@_extern(c, "bind")
func systemBind(_: Int32, _: UnsafePointer<sockaddr>, _: UInt32) -> Int32
@_extern(c, "connect")
func systemConnect(_: Int32, _: UnsafePointer<sockaddr>, _: UInt32) -> Int32
@_extern(c, "getsockname")
func systemName(
    _: Int32, _: UnsafeMutablePointer<sockaddr>, _: UnsafeMutablePointer<UInt32>
) -> Int32
@_extern(c, "getpeername")
private func systemPeer(
    _: Int32, _: UnsafeMutablePointer<sockaddr>, _: UnsafeMutablePointer<UInt32>
) -> Int32
@_extern(c, "accept4")
private func systemAccept(
    _: Int32, _: UnsafeMutablePointer<sockaddr>, _: UnsafeMutablePointer<UInt32>, _: Int32
) -> Int32

/// Where a TCP socket is bound or connected: an address and a port.
public struct SocketAddress: Equatable, Sendable {
    /// Bits 127 to 64 of an IPv6 address, else 0.
    public var high: UInt64
    /// Bits 63 to 0 of an IPv6 address, or the 32 bits of an IPv4 one.
    public var low: UInt64
    /// Which of the two it is.
    public var isIPv6: Bool
    /// The port.
    public var port: UInt16
    /// The interface that a link-local IPv6 address is on, else 0.
    public var scope: UInt32

    /// An IPv6 address with its port, or an IPv4 one in the low 32 bits.
    public init(high: UInt64 = 0, low: UInt64, isIPv6: Bool, port: UInt16, scope: UInt32 = 0) {
        self.high = high
        self.low = low
        self.isIPv6 = isIPv6
        self.port = port
        self.scope = scope
    }

    // struct sockaddr_in and sockaddr_in6, whose layout is the kernel's: the family, the port and,
    // at these offsets, the rest.
    private static let size = MemoryLayout<sockaddr_storage>.size
    private static let (ipv4At, ipv6At, scopeAt) = (4, 8, 24)

    init?(_ raw: UnsafeRawBufferPointer) {
        let port = UInt16(bigEndian: raw.load(fromByteOffset: 2, as: UInt16.self))
        switch Int32(raw.load(as: UInt16.self)) {
        case AF_INET:
            let bits = raw.load(fromByteOffset: SocketAddress.ipv4At, as: UInt32.self)
            self.init(low: UInt64(UInt32(bigEndian: bits)), isIPv6: false, port: port)
        case AF_INET6:
            let at = SocketAddress.ipv6At
            self.init(
                high: UInt64(bigEndian: raw.load(fromByteOffset: at, as: UInt64.self)),
                low: UInt64(bigEndian: raw.load(fromByteOffset: at + 8, as: UInt64.self)),
                isIPv6: true, port: port,
                scope: raw.load(fromByteOffset: SocketAddress.scopeAt, as: UInt32.self))
        default: return nil
        }
    }

    /// Calls `body` with the address as the kernel takes it.
    func withRaw<Result>(_ body: (UnsafePointer<sockaddr>, UInt32) -> Result) -> Result {
        var storage = sockaddr_storage()
        return withUnsafeMutableBytes(of: &storage) { raw in
            raw.storeBytes(of: UInt16(isIPv6 ? AF_INET6 : AF_INET), as: UInt16.self)
            raw.storeBytes(of: port.bigEndian, toByteOffset: 2, as: UInt16.self)
            if isIPv6 {
                let at = SocketAddress.ipv6At
                raw.storeBytes(of: high.bigEndian, toByteOffset: at, as: UInt64.self)
                raw.storeBytes(of: low.bigEndian, toByteOffset: at + 8, as: UInt64.self)
                raw.storeBytes(of: scope, toByteOffset: SocketAddress.scopeAt, as: UInt32.self)
            } else {
                let bits = UInt32(truncatingIfNeeded: low).bigEndian
                raw.storeBytes(of: bits, toByteOffset: SocketAddress.ipv4At, as: UInt32.self)
            }
            let address = raw.assumingMemoryBound(to: sockaddr.self)
            let size = isIPv6 ? MemoryLayout<sockaddr_in6>.size : MemoryLayout<sockaddr_in>.size
            return body(UnsafePointer(address.baseAddress.unsafelyUnwrapped), UInt32(size))
        }
    }

    /// The address that `fill` leaves in the storage it is given; nil if it is none of TCP's.
    static func filled(
        by fill: (UnsafeMutablePointer<sockaddr>, UnsafeMutablePointer<UInt32>)
            throws(SystemError) -> Void
    ) throws(SystemError) -> SocketAddress? {
        var storage = sockaddr_storage()
        var length = UInt32(size)
        return try withUnsafeMutableBytes(of: &storage) {
            (raw) throws(SystemError) -> SocketAddress? in
            let address = raw.assumingMemoryBound(to: sockaddr.self).baseAddress
            try fill(address.unsafelyUnwrapped, &length)
            return SocketAddress(UnsafeRawBufferPointer(raw))
        }
    }
}

/// Makes a TCP socket. socket(2).
public func makeSocket(isIPv6: Bool, nonBlocking: Bool = false) throws(SystemError) -> Descriptor {
    let kind = CL_SOCK_STREAM | CL_SOCK_CLOEXEC | (nonBlocking ? CL_SOCK_NONBLOCK : 0)
    return Descriptor(
        owning: try Kernel.call("socket") {
            socket(isIPv6 ? AF_INET6 : AF_INET, Int32(kind), 0)
        })
}

/// A switch of a socket. setsockopt(2).
public enum SocketOption {
    /// Bind although old connections of the port linger. SO_REUSEADDR.
    case reuseAddress
    /// Send small pieces at once. TCP_NODELAY.
    case noDelay
    /// Take IPv6 connections only, no mapped IPv4 ones. IPV6_V6ONLY.
    case onlyIPv6
    /// Share the port with other sockets that ask for the same. SO_REUSEPORT.
    case reusePort
    /// Take data with the first packet; the value is how many such connections may wait. TCP_FASTOPEN.
    case fastOpen
    /// Accept only when data has come, or after about so many seconds. TCP_DEFER_ACCEPT.
    case deferAccept
    /// How many bytes there must be for the socket to be readable. SO_RCVLOWAT.
    case leastReadable
    /// Ask an other end that is silent whether it is still there. SO_KEEPALIVE.
    case keepAlive
    /// The seconds of silence after which it is asked first. TCP_KEEPIDLE.
    case keepAliveAfter
    /// The seconds between two questions. TCP_KEEPINTVL.
    case keepAliveInterval
    /// How many questions without an answer end the connection. TCP_KEEPCNT.
    case keepAliveCount
    /// Have the kernel say who sent each datagram of a UNIX-domain socket. SO_PASSCRED.
    case passCredentials

    var level: Int32 {
        switch self {
        case .reuseAddress, .reusePort, .leastReadable, .keepAlive, .passCredentials: SOL_SOCKET
        case .noDelay, .fastOpen, .deferAccept, .keepAliveAfter, .keepAliveInterval,
            .keepAliveCount:
            Int32(CL_IPPROTO_TCP)
        case .onlyIPv6: Int32(CL_IPPROTO_IPV6)
        }
    }

    var name: Int32 {
        switch self {
        case .reuseAddress: SO_REUSEADDR
        case .noDelay: TCP_NODELAY
        case .onlyIPv6: IPV6_V6ONLY
        case .reusePort: SO_REUSEPORT
        case .fastOpen: TCP_FASTOPEN
        case .deferAccept: TCP_DEFER_ACCEPT
        case .leastReadable: SO_RCVLOWAT
        case .keepAlive: SO_KEEPALIVE
        case .keepAliveAfter: TCP_KEEPIDLE
        case .keepAliveInterval: TCP_KEEPINTVL
        case .keepAliveCount: TCP_KEEPCNT
        case .passCredentials: SO_PASSCRED
        }
    }
}

/// Turns an option on or off. setsockopt(2).
public func set(_ option: SocketOption, _ on: Bool, of socket: Int32) throws(SystemError) {
    try set(option, to: on ? 1 : 0, of: socket)
}

/// Gives an option a value. setsockopt(2).
public func set(_ option: SocketOption, to value: Int32, of socket: Int32) throws(SystemError) {
    var value = value
    _ = try Kernel.call("setsockopt") {
        setsockopt(socket, option.level, option.name, &value, 4)
    }
}

/// Gives a socket its local address. bind(2).
public func bind(_ socket: borrowing Descriptor, to address: SocketAddress) throws(SystemError) {
    let number = socket.number
    _ = try Kernel.call("bind") { address.withRaw { systemBind(number, $0, $1) } }
}

/// Lets at most `backlog` connections wait to be accepted. listen(2).
public func listen(_ socket: borrowing Descriptor, backlog: Int32) throws(SystemError) {
    let number = socket.number
    _ = try Kernel.call("listen") { CLinux.listen(number, backlog) }
}

/// The local address of a socket; nil if it is not TCP's. getsockname(2).
public func localAddress(of socket: Int32) throws(SystemError) -> SocketAddress? {
    try SocketAddress.filled { (address, length) throws(SystemError) in
        _ = try Kernel.call("getsockname") { systemName(socket, address, length) }
    }
}

/// The address at the other end; nil if it is not TCP's. getpeername(2).
public func remoteAddress(of socket: Int32) throws(SystemError) -> SocketAddress? {
    try SocketAddress.filled { (address, length) throws(SystemError) in
        _ = try Kernel.call("getpeername") { systemPeer(socket, address, length) }
    }
}

/// A connection just accepted.
@frozen public struct AcceptedConnection: ~Copyable {
    /// The connection, blocking.
    public let socket: Descriptor
    /// Who connected; nil if it is not TCP.
    public let peer: SocketAddress?
}

/// Takes a waiting connection; nil when a non-blocking listener has none. Interrupted calls are
/// not made again. accept4(2).
public func accept(_ listener: Int32) throws(SystemError) -> AcceptedConnection? {
    var socket: Int32 = -1
    let peer: SocketAddress?
    do throws(SystemError) {
        peer = try SocketAddress.filled { (address, length) throws(SystemError) in
            socket = try Kernel.call("accept", retry: false) {
                systemAccept(listener, address, length, Int32(CL_SOCK_CLOEXEC))
            }
        }
    } catch {
        if error.errno == .again { return nil }
        throw error
    }
    return AcceptedConnection(socket: Descriptor(owning: socket), peer: peer)
}

/// Connects, waiting until `deadline` at most; then the socket is blocking again. Throws ETIMEDOUT when
/// the time ran out. connect(2).
public func connect(
    _ socket: borrowing Descriptor, to address: SocketAddress, until deadline: Instant
) throws(SystemError) {
    let number = socket.number
    try setNonBlocking(number, true)
    do throws(SystemError) {
        _ = try Kernel.call("connect", retry: false) {
            address.withRaw { systemConnect(number, $0, $1) }
        }
    } catch {
        guard error.errno == .inProgress || error.errno == .interrupted else { throw error }
        guard try wait(for: number, writable: true, until: deadline) else {
            throw SystemError("connect", .timedOut)
        }
        var cause: Int32 = 0
        var size = UInt32(4)
        _ = try Kernel.call("getsockopt") {
            getsockopt(number, SOL_SOCKET, SO_ERROR, &cause, &size)
        }
        if cause != 0 { throw SystemError("connect", Errno(cause)) }
    }
    try setNonBlocking(number, false)
}

/// Waits until `descriptor` can be read, or written; false when `deadline` passed first. poll(2).
public func wait(for descriptor: Int32, writable: Bool = false, until deadline: Instant?)
    throws(SystemError) -> Bool
{
    var request = pollfd(fd: descriptor, events: Int16(writable ? POLLOUT : POLLIN), revents: 0)
    return try poll(&request, 1, until: deadline) > 0
}

/// Waits until one of two descriptors can be read, or `deadline` has passed. poll(2).
public func wait(forEither first: Int32, or second: Int32, until deadline: Instant?)
    throws(SystemError) -> (first: Bool, second: Bool)
{
    var requests = (
        pollfd(fd: first, events: Int16(POLLIN), revents: 0),
        pollfd(fd: second, events: Int16(POLLIN), revents: 0)
    )
    try withUnsafeMutableBytes(of: &requests) { (raw) throws(SystemError) in
        let requests = raw.assumingMemoryBound(to: pollfd.self)
        _ = try poll(requests.baseAddress.unsafelyUnwrapped, 2, until: deadline)
    }
    return (requests.0.revents != 0, requests.1.revents != 0)
}

/// Waits for a time. poll(2).
public func pause(until deadline: Instant) {
    var none = pollfd()
    // Only a bad pointer or no memory could be reported; then the wait is over.
    do { _ = try poll(&none, 0, until: deadline) } catch {}
}

private func poll(_ requests: UnsafeMutablePointer<pollfd>, _ count: UInt, until deadline: Instant?)
    throws(SystemError) -> Int32
{
    // Interrupted calls are made again, with the time then left.
    try Kernel.call("poll") {
        CLinux.poll(requests, nfds_t(count), deadline?.millisecondsLeft ?? -1)
    }
}

/// Copies what has come, without taking it and without waiting; returns how many bytes. recv(2).
public func peekNow(_ socket: Int32, _ buffer: UnsafeMutableRawBufferPointer) throws(SystemError)
    -> Int
{
    try Kernel.call("recv") {
        recv(socket, buffer.baseAddress, buffer.count, Int32(CL_PEEK_NOW))
    }
}

/// Sends what fits at once, without waiting and without SIGPIPE; returns how many bytes. send(2).
public func sendNow(_ socket: Int32, _ bytes: UnsafeRawBufferPointer) throws(SystemError) -> Int {
    try Kernel.call("send") {
        send(socket, bytes.baseAddress, bytes.count, Int32(CL_SEND_NOW))
    }
}
