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
            #expect(
                try resolveHost(host, port: 25, unnamed: any) == [SocketAddress(any, port: 25)])
        }
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
