import Testing

@testable import Formats

@Suite struct IPAddressTests {
    private func canonical(_ text: String) -> String? {
        IPAddress(Array(text.utf8)[...]).map { String(decoding: $0.text, as: UTF8.self) }
    }

    @Test(
        "An address is read and written in its one canonical form",
        arguments: [
            ("0.0.0.0", "0.0.0.0"), ("255.255.255.255", "255.255.255.255"),
            ("127.000.000.001", "127.0.0.1"), ("10.20.100.9", "10.20.100.9"),
            ("::", "::"), ("::1", "::1"), ("1::", "1::"), ("2001:DB8::A", "2001:db8::a"),
            ("2001:0db8:0000:0000:0001:0000:0000:0001", "2001:db8::1:0:0:1"),
            ("1:2:3:4:5:6:7:8", "1:2:3:4:5:6:7:8"), ("1:0:3:4:5:6:7:8", "1:0:3:4:5:6:7:8"),
            ("0:0:3:4:5:6:7:8", "::3:4:5:6:7:8"), ("1:2:3:4:5:6:0:0", "1:2:3:4:5:6::"),
            ("::ffff:192.0.2.1", "192.0.2.1"), ("::ffff:c000:201", "192.0.2.1"),
            ("64:ff9b::192.0.2.1", "64:ff9b::c000:201"), ("fe80::", "fe80::"),
            ("::7:8", "::7:8"), ("1:2:3:4:5:6:7::", "1:2:3:4:5:6:7:0"),
        ])
    func reading(text: String, form: String) { #expect(canonical(text) == form) }

    @Test(
        "What is no address is refused",
        arguments: [
            "", "1", "1.2.3", "1.2.3.4.5", "1.2.3.256", "1.2.3.", ".1.2.3", "1..2.3", "1.2.3.-4",
            "1.2.3.0004", "1.2.3.4 ", "a.b.c.d", ":", ":::", "1:2:3:4:5:6:7", "1:2:3:4:5:6:7:8:9",
            "1::2::3", "12345::", "::g", "1:2:3:4:5:6:7:", ":1:2:3:4:5:6:7", "1.2.3.4::", "[::1]",
            "::1.2.3", "1:2:3:4:5:6:7:1.2.3.4", "::1%eth0", "1:2:3:4:5:6:7:8::",
        ])
    func refusing(text: String) { #expect(canonical(text) == nil) }

    @Test("A prefix keeps its bits and clears the others, for every length")
    func prefixes() {
        let all = IPAddress(high: ~0, low: ~0)
        for length in 0...128 {
            let prefix = all.prefix(length)
            #expect(prefix.isIPv6)
            #expect(prefix.high.nonzeroBitCount + prefix.low.nonzeroBitCount == length)
            #expect(prefix.high.leadingZeroBitCount == 0 || length == 0)
            #expect(prefix.prefix(length) == prefix)
        }
        for length in 0...32 {
            let prefix = IPAddress(ipv4: ~0).prefix(length)
            #expect(!prefix.isIPv6)
            #expect(prefix.low.nonzeroBitCount == length)
            #expect(prefix.low <= 0xffff_ffff)
        }
    }

    @Test("A prefix of an address that begins like a mapped one stays IPv6")
    func mappedPrefix() {
        let address = IPAddress(high: 0, low: 0x1_ffff_0000_0001)
        #expect(address.isIPv6)
        #expect(address.prefix(96).isIPv6)
        #expect(IPAddress(high: 0, low: 0xffff_0102_0304) == IPAddress(ipv4: 0x0102_0304))
    }
}
