import Bytes
import Commands
import Formats
import Linux

/// A socket that waits for connections.
struct Listener {
    /// The socket, non-blocking, open until the process ends or `close` is called.
    let socket: Int32
    /// The port it is bound to; 0 for a UNIX-domain socket.
    let port: UInt16
    /// The local address of every connection, unless it depends on the connection.
    let address: IPAddress?
    /// The path of a UNIX-domain socket; nil for TCP.
    let path: ByteString?

    /// Takes the socket passed in, or binds and listens as the options say.
    init(_ options: TCPServerOptions, _ environment: Environment) throws(Failure) {
        if let passed = try Listener(passedIn: environment) {
            self = passed
        } else if options.common.host.contains(UInt8(ascii: "/")) {
            self = try Listener(path: options.common.host, options)
        } else {
            self = try Listener(options)
        }
    }

    /// Closes the socket: who tries to connect is refused.
    func close() { closeInherited(socket) }

    // MARK: - TCP

    /// IPv6's unspecified address takes IPv4 connections too.
    private init(_ options: TCPServerOptions) throws(Failure) {
        let number = try resolvePort(options.common.port)
        let found = try resolveHost(options.common.host, port: number, unnamed: IPAddress(ipv4: 0))
        guard let wanted = found.first else {
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
            try bind(descriptor, to: wanted)
        } catch { throw error.explained("unable to bind") }
        let actual = try Listener.name(of: descriptor.number)
        try Listener.listen(descriptor, options)
        let isWildcard = wanted.high == 0 && wanted.low == 0
        address = isWildcard ? nil : wanted.ip
        port = actual?.port ?? 0
        path = nil
        socket = descriptor.release()
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

    private init(path: ByteString, _ options: TCPServerOptions) throws(Failure) {
        let descriptor = try Listener.made { () throws(SystemError) -> Descriptor in
            try makeUnixSocket(nonBlocking: true)
        }
        do throws(SystemError) {
            do throws(SystemError) { try bind(descriptor, toPath: path) } catch {
                guard error.errno == .addressInUse, Listener.isAbandoned(path) else { throw error }
                try removeFile(path)
                try bind(descriptor, toPath: path)
            }
        } catch { throw error.explained("unable to bind") }
        try Listener.listen(descriptor, options)
        self.path = path
        port = 0
        address = nil
        socket = descriptor.release()
    }

    /// Whether nobody listens any more on the socket that is there.
    private static func isAbandoned(_ path: ByteString) -> Bool {
        do {
            guard try status(of: path).isSocket else { return false }
            let probe = try makeUnixSocket(nonBlocking: true)
            try connect(probe, toPath: path)
            return false
        } catch { return error.errno == .connectionRefused }
    }

    // MARK: - Passed in

    /// The socket that a supervisor opened for this process, by sd_listen_fds(3); nil when it did not.
    private init?(passedIn environment: Environment) throws(Failure) {
        guard let process = environment["LISTEN_PID"], let count = environment["LISTEN_FDS"],
            scanDecimal(process.bytes).value == UInt(CurrentProcess.id)
        else { return nil }
        guard count == "1" else { throw Failure("unable to serve \(count) sockets passed in") }
        let first: Int32 = 3
        switch passedSocket(first) {
        case .other: throw Failure("descriptor 3, passed in, is no listening socket")
        case .unix(let path):
            self.path = path
            port = 0
        case .tcp:
            path = nil
            port = try Listener.name(of: first)?.port ?? 0
        }
        do {
            try setNonBlocking(first, true)
            // It must not stay open in the programs.
            socket = try Descriptor(owning: first).duplicate(minimum: 3).release()
        } catch { throw error.explained("unable to take the socket passed in") }
        address = nil
    }

    /// The variables by which the socket was passed in; they are not for the programs.
    static let passingVariables: [ByteString] = ["LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"]
}
