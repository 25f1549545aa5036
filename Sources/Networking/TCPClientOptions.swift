import Formats
import Linux

/// What tcpclient(1) is told on its command line.
public struct TCPClientOptions: Sendable {
    /// How much it says on standard error.
    public enum Verbosity: Sendable {
        /// `-q`: nothing.
        case silent
        /// `-Q`: errors.
        case errors
        /// `-v`: that it is connected, too.
        case all
    }

    /// Where to connect to: a name or an address; empty and `0` are this host.
    public var host: ByteString
    /// A number, or a name of /etc/services.
    public var port: ByteString
    /// `-q`, `-Q`, `-v`.
    public var verbosity = Verbosity.errors
    /// `-D`: send small pieces at once.
    public var noDelay = false
    /// `-i`: the address to connect from.
    public var localAddress: IPAddress?
    /// `-p`: the port to connect from; 0 leaves it to the kernel.
    public var localPort: UInt16 = 0
    /// `-l`: the local host's name, which is then not looked up.
    public var localName: ByteString?
    /// `-h`, `-H`: whether to look up the remote host's name.
    public var findsRemoteHost = true
    /// `-r`, `-R`: whether to ask the remote host's ident server.
    public var asksIdent = true
    /// `-t`: how many seconds that may take.
    public var identTimeout: UInt = 26
    /// `-T`: how many seconds a connection may take, first and when it is tried again.
    public var timeouts: (first: UInt, second: UInt) = (2, 58)

    /// The defaults.
    public init(host: ByteString, port: ByteString) {
        self.host = host
        self.port = port
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
