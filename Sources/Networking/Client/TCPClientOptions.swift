import Bytes
import Formats
import Linux

/// What tcpclient(1) is told on its command line.
public struct TCPClientOptions: Sendable {
    /// What tcpserver(1) is told too; an empty host and `0` are this one.
    public var common: ConnectionOptions
    /// `-i`: the address to connect from.
    public var localAddress: IPAddress?
    /// `-p`: the port to connect from; 0 leaves it to the kernel.
    public var localPort: UInt16 = 0
    /// `-T`: how many seconds a connection may take, first and when it is tried again.
    public var timeouts: (first: UInt, second: UInt) = (2, 58)

    /// The defaults.
    public init(host: ByteString, port: ByteString) {
        common = ConnectionOptions(host: host, port: port)
    }

    /// Reads what `-T` is given: `X+Y`, or `X` for no second try.
    public static func timeouts(_ text: ByteString) -> (first: UInt, second: UInt) {
        let (first, length) = scanDecimal(text.bytes)
        var rest = text.bytes.dropFirst(length)
        if rest.first == UInt8(ascii: "+") { rest = rest.dropFirst() }
        return (first, scanDecimal(rest).value)
    }

    /// Reads what `-i` is given: an IPv6 address, or an IPv4 one as the original's ip4_scan has it, with
    /// anything after it. Nil if it is neither.
    public static func address(_ text: ByteString) -> IPAddress? {
        if text.contains(UInt8(ascii: ":")) { return IPAddress(text.bytes) }
        var bits: UInt32 = 0
        var rest = text.bytes
        for part in 0..<4 {
            if part > 0 {
                guard rest.first == UInt8(ascii: ".") else { return nil }
                rest = rest.dropFirst()
            }
            let (number, length) = scanDecimal(rest)
            guard length > 0 else { return nil }
            rest = rest.dropFirst(length)
            bits = bits << 8 | UInt32(UInt8(truncatingIfNeeded: number))
        }
        return IPAddress(ipv4: bits)
    }
}
