import Bytes
import Commands
import Formats
import Linux
import Testing

@testable import Networking

@Suite struct EndpointTests {
    @Test(
        "A literal is read as the original reads it, brackets and odd numbers included",
        arguments: [
            ("127.0.0.1", "127.0.0.1"), ("[127.0.0.1]", "127.0.0.1"), ("1.2.3.4.5", "1.2.3.4"),
            ("1.2.3.4.5.6.7.8", "1.2.3.4 5.6.7.8"),
            ("300.0.0.257", "44.0.0.1"), ("...", "0.0.0.0"), ("1.2.3", "none"), ("5", "none"),
            ("::1", "::1"), ("[::1]", "::1"), ("::ffff:1.2.3.4", "1.2.3.4"), ("a.b", "name"),
            ("1.2.3.x", "name"), ("::x", "name"), ("127.0.0.1 ", "name"),
        ] as [(ByteString, ByteString)])
    func literals(text: ByteString, meaning: ByteString) {
        switch HostLiteral(text) {
        case .addresses(let ips):
            let texts = ips.map { String(decoding: $0.text, as: UTF8.self) }
            #expect(ByteString(texts.joined(separator: " ")) == meaning)
        case .none: #expect(meaning == "none")
        case .name: #expect(meaning == "name")
        }
    }

    @Test("A host that is not named is the default")
    func unnamed() throws {
        let any = IPAddress(ipv4: 7)
        for host in ["", "0"] as [ByteString] {
            var found = try HostAddresses(host, port: 25, unnamed: any)
            #expect(try found.next() == [SocketAddress(any, port: 25)])
            #expect(try found.next() == nil)
        }
    }

    @Test("Literals of a family that is not wanted are no addresses")
    func families() throws {
        var found = try HostAddresses("::1", port: 25, unnamed: IPAddress(ipv4: 0), [.ipv4])
        #expect(throws: Failure.self) { try found.next() }
    }

    @Test("A name that no server can be asked for is a failure of the protocol, at once")
    func longNames() {
        let long = String(repeating: "a", count: 64)
        let label = String(repeating: "b", count: 62) + "."
        for name in ["\(long).example", "x.\(long)", String(repeating: label, count: 5)] {
            let error: Failure? = {
                do throws(Failure) {
                    _ = try HostAddresses(
                        ByteString(name), port: 25, unnamed: IPAddress(ipv4: 0))
                    return nil
                } catch { return error }
            }()
            #expect(error?.errno == .protocolError)
            #expect(
                error?.text == "temporarily unable to figure out IP address for \(ByteString(name))"
            )
        }
    }

    @Test("What is no letter of a host's name is escaped")
    func escaping() {
        #expect(escapedHostName("a-b_c.example.9") == "a-b_c.example.9")
        #expect(escapedHostName("a b\n%:=\\") == "a\\040b\\012\\045\\072\\075\\134")
        #expect(escapedHostName(ByteString([0xff, 0x41])) == "\\377\\101")
    }

    @Test("A number is a port, wrapping at 65536; a name is looked up; the rest is refused")
    func ports() throws {
        #expect(try resolvePort("22") == 22)
        #expect(try resolvePort("65558") == 22)
        #expect(try resolvePort("") == 0)
        #expect(throws: Failure.self) { try resolvePort("no-such-service") }
        #expect(throws: Failure.self) { try resolvePort("22x") }
    }
}
