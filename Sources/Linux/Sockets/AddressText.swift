import Bytes
import CLinux

extension SocketAddress {
    /// Reads `ADDRESS:PORT` or, for IPv6, `[ADDRESS]:PORT`, both as numbers; nobody is asked. Nil if it is something
    /// else. inet_pton(3).
    public init?(numeric text: ByteString) {
        guard let colon = text.bytes.lastIndex(of: UInt8(ascii: ":")) else { return nil }
        let digits = ByteString(text.bytes[(colon + 1)...])
        guard digits.bytes.first != UInt8(ascii: "-"),
            let port = parseDecimal(digits, within: 0...65535)
        else { return nil }
        var host = text.bytes[..<colon]
        let isIPv6 = host.first == UInt8(ascii: "[")
        if isIPv6 {
            guard host.count > 2, host.last == UInt8(ascii: "]") else { return nil }
            host = host.dropFirst().dropLast()
        }
        var raw: (UInt64, UInt64) = (0, 0)
        let family = isIPv6 ? AF_INET6 : AF_INET
        guard ByteString(host).withCString({ inet_pton(family, $0, &raw) }) == 1 else { return nil }
        let high = UInt64(bigEndian: raw.0)
        self.init(
            high: isIPv6 ? high : 0, low: isIPv6 ? UInt64(bigEndian: raw.1) : high >> 32,
            isIPv6: isIPv6, port: UInt16(port))
    }
}
