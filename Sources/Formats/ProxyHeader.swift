import Bytes

/// What a proxy says of the connection it passes on: the header of the PROXY protocol, version 1 or 2,
/// with which such a connection begins.
public struct ProxyHeader: Equatable, Sendable {
    /// An end of the client's connection to the proxy.
    public struct End: Equatable, Sendable {
        /// Its address.
        public let address: IPAddress
        /// Its port.
        public let port: UInt16
    }

    /// The client and whom it connected to; nil when the proxy speaks for itself or does not know.
    public let ends: (client: End, server: End)?
    /// How many bytes the header has.
    public let length: Int

    /// Equal when all is.
    public static func == (left: ProxyHeader, right: ProxyHeader) -> Bool {
        left.length == right.length && left.ends?.client == right.ends?.client
            && left.ends?.server == right.ends?.server
    }

    /// What the first bytes of a connection are.
    public enum Reading: Equatable, Sendable {
        /// A header, perhaps followed by the client's data.
        case header(ProxyHeader)
        /// The start of a header.
        case incomplete
        /// No header.
        case invalid
    }

    private static let signature: StaticString = "\r\n\r\n\0\r\nQUIT\n"
    private static let opening: StaticString = "PROXY "
    /// The longest line of version 1, and more options than any proxy sends in version 2.
    private static let (longestLine, longestBlock) = (107, 4096)
    /// More bytes than any header has.
    public static let limit = 16 + longestBlock

    /// Reads the header at the start of `bytes`.
    public static func read(_ bytes: UnsafeRawBufferPointer) -> Reading {
        if begins(bytes, with: signature) { return readBlock(bytes) }
        if begins(bytes, with: opening) { return readLine(bytes) }
        return .invalid
    }

    /// Whether `bytes` begin with `text`, as far as they go.
    private static func begins(_ bytes: UnsafeRawBufferPointer, with text: StaticString) -> Bool {
        zip(text.bytes, bytes).allSatisfy { $0 == $1 }
    }

    // MARK: - Version 2

    private static func readBlock(_ bytes: UnsafeRawBufferPointer) -> Reading {
        if bytes.count < 16 { return .incomplete }
        let size = Int(bytes[14]) << 8 | Int(bytes[15])
        guard bytes[12] >> 4 == 2, bytes[12] & 15 <= 1, size <= longestBlock else {
            return .invalid
        }
        if bytes.count < 16 + size { return .incomplete }
        let isLocal = bytes[12] & 15 == 0
        switch bytes[13] {
        case 0x11 where !isLocal:
            guard size >= 12 else { return .invalid }
            let client = IPAddress(ipv4: UInt32(number(bytes, 16, 4)))
            let server = IPAddress(ipv4: UInt32(number(bytes, 20, 4)))
            return header(client, server, ports: 24, bytes, 16 + size)
        case 0x21 where !isLocal:
            guard size >= 36 else { return .invalid }
            let client = IPAddress(high: number(bytes, 16, 8), low: number(bytes, 24, 8))
            let server = IPAddress(high: number(bytes, 32, 8), low: number(bytes, 40, 8))
            return header(client, server, ports: 48, bytes, 16 + size)
        default: return .header(ProxyHeader(ends: nil, length: 16 + size))
        }
    }

    private static func header(
        _ client: IPAddress, _ server: IPAddress, ports: Int, _ bytes: UnsafeRawBufferPointer,
        _ length: Int
    ) -> Reading {
        let ends = (
            client: End(address: client, port: UInt16(number(bytes, ports, 2))),
            server: End(address: server, port: UInt16(number(bytes, ports + 2, 2)))
        )
        return .header(ProxyHeader(ends: ends, length: length))
    }

    private static func number(_ bytes: UnsafeRawBufferPointer, _ start: Int, _ count: Int)
        -> UInt64
    { bytes[start..<(start + count)].reduce(0) { $0 << 8 | UInt64($1) } }

    // MARK: - Version 1

    private static func readLine(_ bytes: UnsafeRawBufferPointer) -> Reading {
        let line = bytes.prefix(longestLine)
        guard let end = line.firstIndex(of: UInt8(ascii: "\n")) else {
            return line.count < longestLine ? .incomplete : .invalid
        }
        let words = Array(line[..<end]).split(
            separator: UInt8(ascii: " "), omittingEmptySubsequences: false)
        guard let last = words.last?.last, last == UInt8(ascii: "\r") else { return .invalid }
        if words.count > 1, words[1].begins(with: "UNKNOWN") {
            return .header(ProxyHeader(ends: nil, length: end + 1))
        }
        guard words.count == 6, let client = IPAddress(words[2]), let server = IPAddress(words[3]),
            let clientPort = port(words[4]), let serverPort = port(words[5].dropLast())
        else { return .invalid }
        let isIPv6 = words[1].isSpelled("TCP6")
        guard isIPv6 || words[1].isSpelled("TCP4") && !client.isIPv6 else {
            return .invalid
        }
        let ends = (
            client: End(address: client, port: clientPort),
            server: End(address: server, port: serverPort)
        )
        return .header(ProxyHeader(ends: ends, length: end + 1))
    }

    private static func port(_ text: ArraySlice<UInt8>) -> UInt16? {
        guard (1...5).contains(text.count) else { return nil }
        var value = 0
        for byte in text {
            let digit = byte &- UInt8(ascii: "0")
            guard digit < 10 else { return nil }
            value = value * 10 + Int(digit)
        }
        return UInt16(exactly: value)
    }
}
