import Bytes
import Commands
import Formats
import Linux

/// A socket that waits for connections.
struct Listener: ~Copyable {
    /// Non-blocking; nil once it has been closed.
    private var descriptor: Descriptor?
    /// The number of the socket; -1 once it has been closed.
    private(set) var socket: Int32
    /// The port it is bound to; 0 for a UNIX-domain socket.
    let port: UInt16
    /// The local address of every connection, unless it depends on the connection.
    let address: IPAddress?
    /// The path of a UNIX-domain socket; nil for TCP.
    let path: ByteString?

    /// Takes the socket passed in, or binds and listens as the options say.
    static func open(_ options: TCPServerOptions, _ environment: Environment) throws(Failure)
        -> Listener
    {
        if try isPassedIn(environment) { return try passedIn(options) }
        let isPath = options.common.host.contains(UInt8(ascii: "/"))
        return isPath ? try unix(options) : try tcp(options)
    }

    private init(
        _ descriptor: consuming Descriptor, port: UInt16 = 0, address: IPAddress? = nil,
        path: ByteString? = nil
    ) {
        socket = descriptor.number
        self.descriptor = consume descriptor
        self.port = port
        self.address = address
        self.path = path
    }

    /// Closes the socket: who tries to connect is refused.
    mutating func close() {
        descriptor = nil
        socket = -1
    }

    // MARK: - TCP

    /// IPv6's unspecified address takes IPv4 connections too.
    private static func tcp(_ options: TCPServerOptions) throws(Failure) -> Listener {
        let number = try resolvePort(options.common.port)
        var found = try HostAddresses(
            options.common.host, port: number, unnamed: IPAddress(ipv4: 0))
        guard let wanted = try found.next()?.first else {
            throw Failure("no IP address for \(options.common.host)")
        }
        let descriptor = try Listener.made { () throws(SystemError) -> Descriptor in
            try makeSocket(isIPv6: wanted.isIPv6, nonBlocking: true)
        }
        do {
            try set(.reuseAddress, true, of: descriptor.number)
            if options.sharesPort { try set(.reusePort, true, of: descriptor.number) }
            if wanted.isIPv6 { try set(.onlyIPv6, false, of: descriptor.number) }
            if options.fastOpen > 0 {
                try set(.fastOpen, to: options.fastOpen, of: descriptor.number)
            }
            if options.deferAccept > 0 {
                try set(.deferAccept, to: options.deferAccept, of: descriptor.number)
            }
            try Listener.keepAlive(descriptor.number, options)
            try bind(descriptor, to: wanted)
        } catch { throw error.explained("unable to bind") }
        let actual = try Listener.name(of: descriptor.number)
        try Listener.listen(descriptor, options)
        let isWildcard = wanted.high == 0 && wanted.low == 0
        return Listener(
            descriptor, port: actual?.port ?? 0, address: isWildcard ? nil : wanted.ip)
    }

    /// Connections have from their listener what is set here.
    private static func keepAlive(_ socket: Int32, _ options: TCPServerOptions)
        throws(SystemError)
    {
        if options.keepAlive == 0 { return }
        try set(.keepAlive, true, of: socket)
        try set(.keepAliveAfter, to: options.keepAlive, of: socket)
        // A client that is gone is found out a minute after it was asked first.
        try set(.keepAliveInterval, to: 10, of: socket)
        try set(.keepAliveCount, to: 6, of: socket)
    }

    private static func made(_ make: () throws(SystemError) -> Descriptor) throws(Failure)
        -> Descriptor
    {
        do {
            // Standard input and output are closed later: none of them may be the socket.
            return try make().duplicate(minimum: 3)
        } catch { throw error.explained("unable to create socket") }
    }

    private static func name(of socket: Int32) throws(Failure) -> SocketAddress? {
        do { return try localAddress(of: socket) } catch {
            throw error.explained("unable to get local address")
        }
    }

    private static func listen(_ socket: borrowing Descriptor, _ options: TCPServerOptions)
        throws(Failure)
    {
        do { try Linux.listen(socket, backlog: options.backlog) } catch {
            throw error.explained("unable to listen")
        }
    }

    // MARK: - UNIX domain

    private static func unix(_ options: TCPServerOptions) throws(Failure) -> Listener {
        let path = options.common.host
        let descriptor = try Listener.made { () throws(SystemError) -> Descriptor in
            try makeUnixSocket(nonBlocking: true)
        }
        do throws(SystemError) {
            try bindReplacingAbandoned(descriptor, toPath: path, Listener.permissions(options))
        } catch {
            throw error.explained("unable to bind")
        }
        if let owner = options.socketOwner {
            do throws(SystemError) {
                try setOwner(ofSocketAt: path, user: owner.user, group: owner.group)
            } catch { throw error.explained("unable to change the owner of \(path)") }
        }
        try Listener.listen(descriptor, options)
        return Listener(descriptor, path: path)
    }

    private static func permissions(_ options: TCPServerOptions) -> SocketPermissions {
        if let mode = options.socketMode { return .exactly(mode) }
        return options.umask.map { .masked($0) } ?? .inherited
    }

    // MARK: - Passed in

    /// Whether a supervisor opened a socket for this process, by sd_listen_fds(3).
    private static func isPassedIn(_ environment: Environment) throws(Failure) -> Bool {
        guard let process = environment["LISTEN_PID"], let count = environment["LISTEN_FDS"],
            scanDecimal(process.bytes).value == UInt(CurrentProcess.id)
        else { return false }
        guard count == "1" else { throw Failure("unable to serve \(count) sockets passed in") }
        return true
    }

    /// The socket that was passed in, the first descriptor after the standard ones.
    private static func passedIn(_ options: TCPServerOptions) throws(Failure) -> Listener {
        let first: Int32 = 3
        var path: ByteString?
        var port: UInt16 = 0
        switch passedSocket(first) {
        case .other: throw Failure("descriptor 3, passed in, is no listening socket")
        case .unix(let name): path = name
        case .tcp: port = try name(of: first)?.port ?? 0
        }
        do {
            if path == nil { try keepAlive(first, options) }
            try setNonBlocking(first, true)
            // It must not stay open in the programs.
            return Listener(
                try Descriptor(owning: first).duplicate(minimum: 3), port: port, path: path)
        } catch { throw error.explained("unable to take the socket passed in") }
    }

    /// The variables by which the socket was passed in; they are not for the programs.
    static let passingVariables: [ByteString] = [
        "LISTEN_PID", "LISTEN_PIDFDID", "LISTEN_FDS", "LISTEN_FDNAMES",
    ]
}
