import Bytes
import CLinux
import Testing

@testable import Linux

@Suite("Listening, and seeing whether somebody does")
struct ListeningSocketTests {
    // MARK: - Addresses

    @Test(
        "Numeric addresses are read, everything else is none",
        arguments: [
            ("127.0.0.1:80", SocketAddress(low: 0x7f00_0001, isIPv6: false, port: 80)),
            ("255.255.255.254:65535", SocketAddress(low: 0xffff_fffe, isIPv6: false, port: 65535)),
            ("0.0.0.0:0", SocketAddress(low: 0, isIPv6: false, port: 0)),
            ("[::1]:8080", SocketAddress(low: 1, isIPv6: true, port: 8080)),
            (
                "[2001:db8::7]:1",
                SocketAddress(high: 0x2001_0db8_0000_0000, low: 7, isIPv6: true, port: 1)
            ),
            ("[::ffff:1.2.3.4]:1", SocketAddress(low: 0xffff_0102_0304, isIPv6: true, port: 1)),
            ("127.0.0.1", nil), ("127.0.0.1:", nil), ("127.0.0.1:65536", nil),
            ("127.0.0.1:-1", nil),
            ("127.0.0.1:-0", nil), ("127.0.0.1:8o", nil), ("127.0.0.1: 80", nil), ("127.1:80", nil),
            ("localhost:80", nil), ("::1:80", nil), ("[::1]", nil), ("[::1]80", nil),
            ("[]:80", nil),
            ("[::1:80", nil), ("[127.0.0.1]:80", nil), (":80", nil), ("80", nil), ("", nil),
            ("127.0.0.1:99999999999999999999", nil), ("[::1]]:80", nil), (" 127.0.0.1:80", nil),
        ] as [(ByteString, SocketAddress?)])
    func addresses(text: ByteString, expected: SocketAddress?) {
        #expect(SocketAddress(numeric: text) == expected)
    }

    // MARK: - Listening

    private func path() -> ByteString {
        "/tmp/apus-listen-\(CurrentProcess.id)-\(UInt64.random(in: 0 ... .max))"
    }

    private func remove(_ path: ByteString) { do { try removeFile(path) } catch {} }

    /// What `open` opens, once the children that other tests fork do not have the old one open any more.
    private func whenFree(_ open: () throws(SystemError) -> Descriptor) throws -> Descriptor {
        let deadline = Instant.now.advanced(milliseconds: 10_000)
        while true {
            do throws(SystemError) { return try open() } catch {
                guard error.errno == .addressInUse, Instant.now < deadline else { throw error }
            }
            pause(until: Instant.now.advanced(milliseconds: 2))
        }
    }

    private func option(_ name: Int32, of socket: borrowing Descriptor) -> Int32 {
        var value: Int32 = -1
        var size: UInt32 = 4
        _ = getsockopt(socket.number, SOL_SOCKET, name, &value, &size)
        return value
    }

    private func check(_ socket: borrowing Descriptor, type: Int, accepts: Bool) {
        #expect(option(SO_TYPE, of: socket) == Int32(type))
        #expect(option(SO_ACCEPTCONN, of: socket) == (accepts ? 1 : 0))
        #expect(cl_fcntl(socket.number, F_GETFD, 0) & FD_CLOEXEC != 0)
        #expect(cl_fcntl(socket.number, F_GETFL, 0) & O_NONBLOCK == 0)
    }

    @Test("TCP and UDP", arguments: ["127.0.0.1:0", "[::1]:0", "[::]:0"] as [ByteString])
    func internet(address: ByteString) throws {
        let tcp = try openListeningSocket(.tcp, address, backlog: 5)
        check(tcp, type: CL_SOCK_STREAM, accepts: true)
        #expect(option(SO_REUSEADDR, of: tcp) == 1)
        let port = try #require(try localAddress(of: tcp.number)).port
        #expect(port > 0)
        let host = address.bytes.dropLast()
        let same = ByteString(host + Array("\(port)".utf8))
        #expect(throws: SystemError("bind", .addressInUse, subject: same)) {
            _ = try openListeningSocket(.tcp, same)
        }
        let udp = try openListeningSocket(.udp, same)
        check(udp, type: CL_SOCK_DGRAM, accepts: false)
        #expect(option(SO_REUSEADDR, of: udp) == 0)
        #expect(throws: SystemError("bind", .addressInUse, subject: same)) {
            _ = try openListeningSocket(.udp, same)
        }
        // Everybody's address takes IPv4 as well.
        if address == "[::]:0" {
            let probe = try ConnectionProbe(
                .tcp(SocketAddress(low: 0x7f00_0001, isIPv6: false, port: port)))
            #expect(try outcome(of: probe) == .connected)
        }
    }

    @Test("UNIX-domain sockets, which replace what was left behind and nothing else")
    func unix() throws {
        for (kind, type) in [
            (ListeningSocketKind.unix, CL_SOCK_STREAM), (.unixDatagram, CL_SOCK_DGRAM),
        ] {
            let path = self.path()
            defer { remove(path) }
            do { _ = try openListeningSocket(kind, path) }
            let socket = try whenFree { () throws(SystemError) in
                try openListeningSocket(kind, path, .exactly(0o620))
            }
            check(socket, type: type, accepts: kind == .unix)
            #expect(try Linux.status(of: path).mode & 0o777 == 0o620)
            for other in [ListeningSocketKind.unix, .unixDatagram] {
                #expect(throws: SystemError("bind", .addressInUse, subject: path)) {
                    _ = try openListeningSocket(other, path)
                }
            }
            try removeFile(path)
            _ = try openFile(path, .createNew)
            #expect(throws: SystemError("bind", .addressInUse, subject: path)) {
                _ = try openListeningSocket(kind, path)
            }
        }
    }

    @Test("What is no address is not bound to")
    func invalid() {
        for kind in [ListeningSocketKind.tcp, .udp] {
            for address in ["localhost:80", "/tmp/x", "", "80"] as [ByteString] {
                #expect(throws: SystemError("bind", .invalid, subject: address)) {
                    _ = try openListeningSocket(kind, address)
                }
            }
        }
        #expect(throws: SystemError("bind", .noEntry, subject: "/nowhere/socket")) {
            _ = try openListeningSocket(.unix, "/nowhere/socket")
        }
    }

    // MARK: - Probing

    /// The outcome, waited for as a supervisor does.
    private func outcome(of probe: borrowing ConnectionProbe) throws -> ConnectionProbe.Outcome {
        let loop = try EventLoop()
        var events: [EventLoop.Event] = []
        try loop.add(probe.descriptor.number, .write, token: 1)
        let deadline = Instant.now.advanced(milliseconds: 10_000)
        while true {
            let outcome = probe.outcome()
            guard outcome == .pending, Instant.now < deadline else { return outcome }
            try loop.wait(until: deadline, &events)
        }
    }

    /// What the kernel said at once counts as an outcome.
    private func outcome(of target: ConnectionProbe.Target) throws -> ConnectionProbe.Outcome {
        let probe: ConnectionProbe
        do throws(SystemError) { probe = try ConnectionProbe(target) } catch {
            return .failed(error.errno)
        }
        return try outcome(of: probe)
    }

    /// Whether nobody listens any more, or soon: other tests fork, and their children have all descriptors for a while.
    private func isRefused(_ target: ConnectionProbe.Target) throws -> Bool {
        let deadline = Instant.now.advanced(milliseconds: 10_000)
        while try outcome(of: target) != .failed(.connectionRefused) {
            if Instant.now > deadline { return false }
            pause(until: Instant.now.advanced(milliseconds: 2))
        }
        return true
    }

    @Test("TCP connects to whom listens and to nobody else", arguments: ["127.0.0.1:0", "[::1]:0"])
    func tcp(address: ByteString) throws {
        let socket = try openListeningSocket(.tcp, address)
        let local = try #require(try localAddress(of: socket.number))
        #expect(try outcome(of: .tcp(local)) == .connected)
        try socket.close()
        #expect(try isRefused(.tcp(local)))
    }

    @Test("UNIX-domain sockets too, by their path")
    func unixProbe() throws {
        let path = self.path()
        defer { remove(path) }
        #expect(try outcome(of: .unix(path)) == .failed(.noEntry))
        let socket = try openListeningSocket(.unix, path, backlog: 0)
        #expect(try outcome(of: .unix(path)) == .connected)
        // Room for one; those that wait have been closed, but not accepted.
        let second = try outcome(of: .unix(path))
        #expect(second == .failed(.again))
        try socket.close()
        #expect(try isRefused(.unix(path)))
        try removeFile(path)
        let other = try openListeningSocket(.unixDatagram, path)
        #expect(try outcome(of: .unix(path)) == .failed(Errno(EPROTOTYPE)))
        try other.close()
    }

    @Test("What does not answer stays pending, and the one who asks does not wait")
    func pending() throws {
        // A full queue: further connections are not answered.
        let socket = try openListeningSocket(.tcp, "127.0.0.1:0", backlog: 0)
        let local = try #require(try localAddress(of: socket.number))
        let first = try ConnectionProbe(.tcp(local))
        #expect(try outcome(of: first) == .connected)
        let start = Instant.now
        let second = try ConnectionProbe(.tcp(local))
        let third = try ConnectionProbe(.tcp(local))
        let outcomes = [second.outcome(), third.outcome()]
        #expect(outcomes.contains(.pending))
        #expect(Instant.now < start.advanced(milliseconds: 900))
    }

    @Test("A connection of TCP to itself is none")
    func selfConnection() throws {
        // Bound to the port that it connects to, as chance may have it.
        let socket = try makeSocket(isIPv6: false, nonBlocking: true)
        try bind(socket, to: SocketAddress(low: 0x7f00_0001, isIPv6: false, port: 0))
        let local = try #require(try localAddress(of: socket.number))
        let probe = try ConnectionProbe(connecting: socket, to: local)
        #expect(try outcome(of: probe) == .failed(.connectionRefused))
        _ = consume probe
        // And leaves the port free at once.
        let again = try makeSocket(isIPv6: false)
        try bind(again, to: local)
    }
}
