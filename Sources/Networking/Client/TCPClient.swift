import Bytes
import Commands
import Formats
import Linux

/// Connects to a TCP server as tcpclient(1) does.
public struct TCPClient {
    private let options: TCPClientOptions
    private let messages: Messages

    /// A client that speaks to people through `messages`.
    public init(_ options: TCPClientOptions, _ messages: Messages) {
        self.options = options
        self.messages = messages
    }

    /// Tries the addresses of the host in turn, and those that did not answer in time once more. Nil when
    /// none could be connected to, which has been reported.
    public func connect() throws(Failure) -> Descriptor? {
        let port = try resolvePort(options.common.port)
        let families: [AddressFamily] =
            options.localAddress.map { [$0.isIPv6 ? .ipv6 : .ipv4] } ?? AddressFamily.allCases
        var hosts = try HostAddresses(
            options.common.host, port: port, unnamed: IPAddress(ipv4: 0x7f00_0001), families)
        let (first, second) = options.timeouts
        var tooSlow: [SocketAddress] = []
        while let addresses = try hosts.next() {
            for address in addresses {
                let result = try attempt(address, seconds: first)
                switch consume result {
                case .connected(let socket): return socket
                case .failed(.timedOut) where second > 0: tooSlow.append(address)
                case .failed(let errno): report(address, errno)
                }
            }
        }
        for address in tooSlow {
            let result = try attempt(address, seconds: second)
            switch consume result {
            case .connected(let socket): return socket
            case .failed(let errno): report(address, errno)
            }
        }
        return nil
    }

    /// Tells a program what it is connected to.
    public func describe(_ socket: borrowing Descriptor, in environment: inout Environment)
        throws(Failure)
    {
        let local = try address("local", localAddress, socket)
        environment.set("PROTO", local.ip.isIPv6 ? "TCP6" : "TCP")
        environment.set("TCPLOCALPORT", "\(local.port)")
        environment.set("TCPLOCALIP", ByteString(local.ip.text))
        set("TCPLOCALHOST", options.common.localName ?? name(of: local), in: &environment)
        let remote = try address("remote", remoteAddress, socket)
        environment.set("TCPREMOTEPORT", "\(remote.port)")
        environment.set("TCPREMOTEIP", ByteString(remote.ip.text))
        if options.common.verbosity == .all {
            messages.line("connected to \(ByteString(remote.ip.text)) port \(remote.port)")
        }
        set(
            "TCPREMOTEHOST", options.common.findsRemoteHost ? name(of: remote) : nil,
            in: &environment)
        let info =
            options.common.asksIdent
            ? identity(of: remote, seenFrom: local, seconds: options.common.identTimeout) : nil
        set("TCPREMOTEINFO", info, in: &environment)
    }

    // MARK: - One address

    private enum Attempt: ~Copyable {
        case connected(Descriptor)
        case failed(Errno)
    }

    private func attempt(_ address: SocketAddress, seconds: UInt) throws(Failure) -> Attempt {
        let socket = try boundSocket(isIPv6: address.isIPv6)
        let deadline = Instant.now.advanced(milliseconds: UInt64(min(seconds, 1 << 30)) * 1000)
        do throws(SystemError) {
            try Linux.connect(socket, to: address, until: deadline)
        } catch { return .failed(error.errno) }
        if options.common.noDelay {
            // Only slower without it.
            do throws(SystemError) { try Linux.set(.noDelay, true, of: socket.number) } catch {}
        }
        return .connected(socket)
    }

    private func boundSocket(isIPv6: Bool) throws(Failure) -> Descriptor {
        let socket: Descriptor
        do throws(SystemError) { socket = try makeSocket(isIPv6: isIPv6) } catch {
            throw error.explained("unable to create socket")
        }
        if options.localAddress == nil && options.localPort == 0 { return socket }
        let unspecified = isIPv6 ? IPAddress(high: 0, low: 0) : IPAddress(ipv4: 0)
        let local = SocketAddress(options.localAddress ?? unspecified, port: options.localPort)
        do throws(SystemError) { try bind(socket, to: local) } catch {
            throw error.explained("unable to bind socket")
        }
        return socket
    }

    private func report(_ address: SocketAddress, _ errno: Errno) {
        if options.common.verbosity == .silent { return }
        let ip = ByteString(address.ip.text)
        messages.line("unable to connect to \(ip) port \(address.port): \(errno.text)")
    }

    // MARK: - What is known of the connection

    private func address(
        _ which: StaticString, _ look: (Int32) throws(SystemError) -> SocketAddress?,
        _ socket: borrowing Descriptor
    ) throws(Failure) -> SocketAddress {
        do throws(SystemError) {
            if let address = try look(socket.number) { return address }
        } catch { throw error.explained("unable to get \(which) address") }
        throw Failure("unable to get \(which) address", .protocolError)
    }

    /// Empty when the host has no name, as in the original; nil when that cannot be found out.
    private func name(of address: SocketAddress) -> ByteString? {
        do throws(ResolverError) { return escapedHostName(try hostName(of: address)) } catch {
            return error == .notFound ? ByteString() : nil
        }
    }

    private func set(_ name: ByteString, _ value: ByteString?, in environment: inout Environment) {
        if let value { environment.set(name, value) } else { environment.unset(name) }
    }
}
