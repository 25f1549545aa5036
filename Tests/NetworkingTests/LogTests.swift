import Bytes
import Commands
import Formats
import Linux
import Testing

@testable import Networking

@Suite struct LogTests {
    private let messages = Messages(program: "tcpserver")
    private let remote = IPAddress(ipv4: 0xC000_0201)

    private func connection(_ host: ByteString?, _ info: ByteString?) -> Connection {
        var connection = Connection(localPort: 22, remote: remote, remotePort: 4711)
        connection.local = IPAddress(ipv4: 0x0A00_0001)
        connection.localHost = "here"
        connection.remoteHost = host
        connection.remoteInfo = info
        return connection
    }

    private func lines(_ body: (inout ConnectionLog) -> Void) -> ByteString {
        var log = ConnectionLog(messages, isOn: true)
        body(&log)
        return ByteString(log.lines.map { $0 == 0 ? UInt8(ascii: "P") : $0 })
    }

    @Test("The lines are ucspi-tcp's")
    func forms() {
        #expect(lines { $0.status(3, of: 40) } == "tcpserver: status: 3/40\n")
        #expect(
            lines { $0.accepted(17, connection(nil, nil)) } == "tcpserver: pid 17 from 192.0.2.1\n")
        #expect(
            lines { $0.ended(17, ExitStatus(raw: 25600)) } == "tcpserver: end 17 status 25600\n")
        #expect(
            lines { $0.decided(17, connection("h.example", "joe"), nil) }
                == "tcpserver: ok 17 here:10.0.0.1:22 h.example:192.0.2.1:joe:4711\n")
        #expect(
            lines { $0.decided(17, connection(nil, nil), .rule) }
                == "tcpserver: deny 17 here:10.0.0.1:22 :192.0.2.1::4711\n")
    }

    @Test("A limit is named at the end of the line")
    func suffixes() {
        let start: ByteString = "tcpserver: deny 17 here:10.0.0.1:22 :192.0.2.1::4711"
        for (reason, suffix) in [
            (.limit(.load, "123"), " MAXLOAD:123"), (.limit(.address, "5"), " MAXCONNIP:5"),
            (.limit(.network, "0"), " MAXCONNC:0"), (.limit(.rate, "9/60"), " MAXRATE:9/60"),
        ] as [(Denial, ByteString)] {
            let line = lines { $0.decided(17, connection(nil, nil), reason) }
            #expect(line == "\(start)\(suffix)\n")
        }
    }

    @Test("The child's id has its place where it is not known yet")
    func placeholder() {
        #expect(
            lines { $0.accepted(nil, connection(nil, nil)) } == "tcpserver: pid P from 192.0.2.1\n")
    }

    @Test("What comes from outside is shown safely and cut at 100 bytes")
    func safety() {
        let odd = ByteString([1, 32, 33, 37, 58, 126, 127, 128, 255, 10])
        let long = ByteString([UInt8](repeating: UInt8(ascii: "x"), count: 101))
        let line = lines { $0.decided(17, connection(odd, long), nil) }
        let shown = ByteString([UInt8](repeating: UInt8(ascii: "x"), count: 100))
        #expect(
            line
                == "tcpserver: ok 17 here:10.0.0.1:22 ??!??~????:192.0.2.1:\(shown)...:4711\n")
    }

    @Test("An IPv6 address is in brackets between colons")
    func ipv6() {
        var connection = Connection(
            localPort: 22, remote: IPAddress(high: 0x2001_0db8 << 32, low: 1), remotePort: 9)
        connection.local = IPAddress(high: 0, low: 1)
        #expect(
            lines { $0.decided(17, connection, nil) }
                == "tcpserver: ok 17 :[::1]:22 :[2001:db8::1]::9\n")
        #expect(
            lines { $0.accepted(17, connection) }
                == "tcpserver: pid 17 from 2001:db8::1\n")
    }

    @Test("A UNIX-domain client is its user and its process")
    func unix() {
        var connection = connection(nil, nil)
        connection.unix = UnixEnd(
            path: "/run/a b", credentials: PeerCredentials(process: 4, user: 1000, group: 100))
        #expect(
            lines { $0.decided(17, connection, .rule) }
                == "tcpserver: deny 17 here:/run/a?b:0 :unix:1000:4\n")
        #expect(lines { $0.accepted(17, connection) } == "tcpserver: pid 17 from unix\n")
    }

    @Test("Without -v there is nothing to write")
    func off() {
        var log = ConnectionLog(messages, isOn: false)
        log.status(1, of: 2)
        log.accepted(1, connection(nil, nil))
        log.decided(1, connection(nil, nil), nil)
        log.ended(1, ExitStatus(raw: 0))
        #expect(log.lines.isEmpty)
    }
}
