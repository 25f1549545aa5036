import Testing

@testable import Formats

@Suite struct ProxyHeaderTests {
    private func read(_ bytes: [UInt8]) -> ProxyHeader.Reading {
        bytes.withUnsafeBytes { ProxyHeader.read($0) }
    }

    private func line(_ text: String) -> ProxyHeader.Reading { read(Array(text.utf8)) }

    private func end(_ address: String, _ port: UInt16) throws -> ProxyHeader.End {
        let ip = try #require(IPAddress(Array(address.utf8)[...]))
        return ProxyHeader.End(address: ip, port: port)
    }

    private let signature: [UInt8] = [13, 10, 13, 10, 0, 13, 10, 81, 85, 73, 84, 10]

    @Test("A line of version 1 names both ends")
    func version1() throws {
        let text = "PROXY TCP4 192.0.2.1 192.0.2.2 40000 22\r\n"
        let header = ProxyHeader(
            ends: (client: try end("192.0.2.1", 40000), server: try end("192.0.2.2", 22)),
            length: text.utf8.count)
        #expect(line(text) == .header(header))
        #expect(line(text + "data of the client\n") == .header(header))
        let six = "PROXY TCP6 2001:db8::1 ::2 1 65535\r\n"
        #expect(
            line(six)
                == .header(
                    ProxyHeader(
                        ends: (client: try end("2001:db8::1", 1), server: try end("::2", 65535)),
                        length: six.utf8.count)))
        #expect(line("PROXY UNKNOWN\r\n") == .header(ProxyHeader(ends: nil, length: 15)))
        #expect(line("PROXY UNKNOWN x y\r\n") == .header(ProxyHeader(ends: nil, length: 19)))
    }

    @Test("A block of version 2 names both ends, whatever follows the addresses")
    func version2() throws {
        let four: [UInt8] =
            signature + [0x21, 0x11, 0, 15, 192, 0, 2, 1, 192, 0, 2, 2, 1, 0, 0, 22]
        let header = ProxyHeader(
            ends: (client: try end("192.0.2.1", 256), server: try end("192.0.2.2", 22)),
            length: 31)
        #expect(read(four + [4, 0, 0] + [1, 2, 3]) == .header(header))
        var six: [UInt8] = signature + [0x21, 0x21, 0, 36]
        six += [0x20, 1, 0x0d, 0xb8] + [UInt8](repeating: 0, count: 11) + [1]
        six += [UInt8](repeating: 0, count: 15) + [2] + [0, 1, 0, 2]
        #expect(
            read(six)
                == .header(
                    ProxyHeader(
                        ends: (client: try end("2001:db8::1", 1), server: try end("::2", 2)),
                        length: 52)))
    }

    @Test("A proxy that speaks for itself, or for what is no TCP, names nobody")
    func unnamed() {
        #expect(
            read(signature + [0x20, 0x11, 0, 0]) == .header(ProxyHeader(ends: nil, length: 16)))
        for family in [0x00, 0x12, 0x31] as [UInt8] {
            #expect(
                read(signature + [0x21, family, 0, 1, 9])
                    == .header(ProxyHeader(ends: nil, length: 17)))
        }
    }

    @Test("Every start of a header is one")
    func starts() {
        let line = Array("PROXY TCP4 192.0.2.1 192.0.2.2 40000 22\r\n".utf8)
        let block = signature + [0x21, 0x11, 0, 12] + [UInt8](repeating: 7, count: 12)
        for whole in [line, block, Array("PROXY UNKNOWN\r\n".utf8)] {
            for count in 0..<whole.count {
                #expect(read(Array(whole[..<count])) == .incomplete, "\(count) bytes")
            }
        }
    }

    @Test(
        "What is no header is refused",
        arguments: [
            "GET / HTTP/1.0\r\n", "PROXX", "PROXY\r\n", "PROXY TCP4 1.2.3.4 5.6.7.8 1\r\n",
            "PROXY TCP4 1.2.3.4 5.6.7.8 1 2\n", "PROXY TCP4 1.2.3.4 5.6.7.8 1 65536\r\n",
            "PROXY TCP4 1.2.3 5.6.7.8 1 2\r\n", "PROXY TCP4  1.2.3.4 5.6.7.8 1 2\r\n",
            "PROXY TCP4 ::1 ::2 1 2\r\n", "PROXY TCP5 1.2.3.4 5.6.7.8 1 2\r\n",
            "PROXY TCP4 1.2.3.4 5.6.7.8 -1 2\r\n", "proxy TCP4 1.2.3.4 5.6.7.8 1 2\r\n",
            "PROXY " + String(repeating: "x", count: 200),
        ])
    func refused(text: String) { #expect(line(text) == .invalid) }

    @Test("A block that is too short for its addresses, too long or of another version is refused")
    func refusedBlocks() {
        for rest in [
            [0x11, 0x11, 0, 12], [0x22, 0x11, 0, 12], [0x21, 0x11, 0, 4], [0x21, 0x21, 0, 12],
            [0x21, 0x11, 0xff, 0xff],
        ] as [[UInt8]] {
            let block = signature + rest + [UInt8](repeating: 0, count: 100)
            #expect(read(block) == .invalid, "\(rest)")
        }
    }
}
