import Bytes
import CLinux

/// Makes a UNIX-domain stream socket. socket(2).
public func makeUnixSocket(nonBlocking: Bool = false) throws(SystemError) -> Descriptor {
    let kind = CL_SOCK_STREAM | CL_SOCK_CLOEXEC | (nonBlocking ? CL_SOCK_NONBLOCK : 0)
    return Descriptor(owning: try Kernel.call("socket") { socket(AF_UNIX, Int32(kind), 0) })
}

/// Makes a UNIX-domain datagram socket. socket(2).
func makeUnixDatagramSocket(nonBlocking: Bool = true) throws(SystemError) -> Descriptor {
    let kind = CL_SOCK_DGRAM | CL_SOCK_CLOEXEC | (nonBlocking ? CL_SOCK_NONBLOCK : 0)
    return Descriptor(owning: try Kernel.call("socket") { socket(AF_UNIX, Int32(kind), 0) })
}

/// Makes two UNIX-domain stream sockets that are connected to each other. socketpair(2).
public func makeUnixSocketPair() throws(SystemError) -> (Int32, Int32) {
    var ends: (Int32, Int32) = (-1, -1)
    let kind = Int32(CL_SOCK_STREAM | CL_SOCK_CLOEXEC)
    _ = try Kernel.call("socketpair") {
        withUnsafeMutableBytes(of: &ends) {
            socketpair(AF_UNIX, kind, 0, $0.baseAddress?.assumingMemoryBound(to: Int32.self))
        }
    }
    return ends
}

/// Gives a UNIX-domain socket its path, which must not exist. bind(2).
public func bind(_ socket: borrowing Descriptor, toPath path: ByteString) throws(SystemError) {
    let number = socket.number
    _ = try Kernel.call("bind", path) { withUnixAddress(path) { systemBind(number, $0, $1) } }
}

/// Changes who owns the socket at `path`, which is no link and nothing else. fchownat(2).
public func setOwner(ofSocketAt path: ByteString, user: UInt32, group: UInt32) throws(SystemError) {
    let file = try openFile(path, OpenMode(flags: O_PATH | O_NOFOLLOW))
    guard try status(of: file.number).isSocket else {
        throw SystemError("chown", .notSocket, subject: path)
    }
    let number = file.number
    _ = try Kernel.call("chown", path) { fchownat(number, "", user, group, AT_EMPTY_PATH) }
}

/// Connects to the UNIX-domain socket at `path`. connect(2).
public func connect(_ socket: borrowing Descriptor, toPath path: ByteString) throws(SystemError) {
    let number = socket.number
    _ = try Kernel.call("connect", path) {
        withUnixAddress(path) { systemConnect(number, $0, $1) }
    }
}

/// Calls `body` with struct sockaddr_un; a path too long for it is left to the kernel to refuse.
private func withUnixAddress(
    _ path: ByteString, _ body: (UnsafePointer<sockaddr>, UInt32) -> Int32
) -> Int32 {
    // The family, the path and its NUL.
    withUnsafeTemporaryAllocation(byteCount: path.count + 3, alignment: 8) { raw in
        raw.storeBytes(of: UInt16(AF_UNIX), as: UInt16.self)
        path.withCString {
            UnsafeMutableRawBufferPointer(rebasing: raw[2...]).copyMemory(
                from: UnsafeRawBufferPointer(start: $0, count: path.count + 1))
        }
        let address = raw.assumingMemoryBound(to: sockaddr.self).baseAddress
        return body(UnsafePointer(address.unsafelyUnwrapped), UInt32(raw.count))
    }
}

/// Who is at the other end of a UNIX-domain connection, at the time it was made.
public struct PeerCredentials: Equatable, Sendable {
    /// The process.
    public let process: ProcessID
    /// Its effective user.
    public let user: UInt32
    /// Its effective group.
    public let group: UInt32

    /// Names them.
    public init(process: ProcessID, user: UInt32, group: UInt32) {
        self.process = process
        self.user = user
        self.group = group
    }
}

/// Who is at the other end. getsockopt(2) SO_PEERCRED.
public func peerCredentials(of socket: Int32) throws(SystemError) -> PeerCredentials {
    // struct ucred: three 32-bit numbers.
    var raw: (Int32, UInt32, UInt32) = (0, 0, 0)
    var size: UInt32 = 12
    _ = try Kernel.call("getsockopt") { getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &raw, &size) }
    return PeerCredentials(process: raw.0, user: raw.1, group: raw.2)
}

/// What a descriptor that somebody else opened is.
public enum PassedSocket: Equatable {
    /// A TCP socket that listens.
    case tcp
    /// A UNIX-domain socket that listens, and its path.
    case unix(ByteString)
    /// Anything else.
    case other
}

/// Tells what is open as `descriptor`. getsockopt(2) SO_ACCEPTCONN, getsockname(2).
public func passedSocket(_ descriptor: Int32) -> PassedSocket {
    var listens: Int32 = 0
    var size: UInt32 = 4
    guard getsockopt(descriptor, SOL_SOCKET, SO_ACCEPTCONN, &listens, &size) == 0, listens != 0
    else { return .other }
    return withUnsafeTemporaryAllocation(byteCount: 256, alignment: 8) { raw in
        raw.initializeMemory(as: UInt8.self, repeating: 0)
        var length: UInt32 = 255
        guard let address = raw.assumingMemoryBound(to: sockaddr.self).baseAddress,
            systemName(descriptor, address, &length) == 0
        else { return .other }
        switch Int32(raw.load(as: UInt16.self)) {
        case AF_INET, AF_INET6: return .tcp
        case AF_UNIX: return .unix(ByteString(raw[2...]))
        default: return .other
        }
    }
}
