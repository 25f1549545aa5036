import Bytes

/// Requests to the kernel's routing socket, rtnetlink(7), each to be answered: links, addresses, routes.
public enum RouteMessage {
    private static let (newLink, newAddress, newRoute): (UInt16, UInt16, UInt16) = (16, 20, 24)
    // NLM_F_REQUEST and NLM_F_ACK; NLM_F_CREATE and NLM_F_REPLACE.
    private static let (asked, made): (UInt16, UInt16) = (0x5, 0x500)

    /// Brings the interface up, with a packet size of its own perhaps.
    public static func up(interface: Int32, packetSize: Int? = nil) -> [UInt8] {
        var body: [UInt8] = [0, 0]
        put(UInt16(0), to: &body)
        put(UInt32(bitPattern: interface), to: &body)
        // IFF_UP, and that nothing else changes.
        put(UInt32(1), to: &body)
        put(UInt32(1), to: &body)
        if let packetSize { attribute(4, word(UInt32(packetSize)), to: &body) }
        return message(newLink, asked, body)
    }

    /// Gives the interface an address.
    public static func address(_ address: NetworkSettings.Address, interface: Int32) -> [UInt8] {
        let ip = address.address
        var body: [UInt8] = [family(ip), UInt8(address.length), 0, 0]
        put(UInt32(bitPattern: interface), to: &body)
        attribute(2, bytes(of: ip), to: &body)
        attribute(1, bytes(of: ip), to: &body)
        if ip.isIPv6 {
            // IFA_F_NODAD: it is the machine's own, and to be used at once.
            attribute(8, word(2), to: &body)
        } else if address.length < 31 {
            let host = address.length == 0 ? ~UInt32(0) : ~UInt32(0) >> UInt32(address.length)
            attribute(
                4, bytes(of: IPAddress(ipv4: UInt32(truncatingIfNeeded: ip.low) | host)), to: &body)
        }
        return message(newAddress, asked | made, body)
    }

    /// Sends everything without a better route through `gateway`; `isOnLink` when it is in no network of the interface.
    public static func defaultRoute(through gateway: IPAddress, interface: Int32, isOnLink: Bool)
        -> [UInt8]
    {
        // The main table, from the boot, to anywhere, for a single receiver.
        var body: [UInt8] = [family(gateway), 0, 0, 0, 254, 3, 0, 1]
        put(UInt32(isOnLink ? 4 : 0), to: &body)
        attribute(5, bytes(of: gateway), to: &body)
        attribute(4, word(UInt32(bitPattern: interface)), to: &body)
        return message(newRoute, asked | made, body)
    }

    /// The error number in the answer; 0 for none. Nil when this is no answer.
    public static func error(in answer: [UInt8]) -> Int32? {
        guard answer.count >= 20, answer[4] == 2, answer[5] == 0 else { return nil }
        let bits = (0..<4).reduce(UInt32(0)) { $0 | UInt32(answer[16 + $1]) << UInt32($1 * 8) }
        return -Int32(bitPattern: bits)
    }

    private static func message(_ type: UInt16, _ flags: UInt16, _ body: [UInt8]) -> [UInt8] {
        var bytes: [UInt8] = []
        put(UInt32(16 + body.count), to: &bytes)
        put(type, to: &bytes)
        put(flags, to: &bytes)
        put(UInt32(0), to: &bytes)
        put(UInt32(0), to: &bytes)
        return bytes + body
    }

    private static func attribute(_ type: UInt16, _ value: [UInt8], to body: inout [UInt8]) {
        put(UInt16(4 + value.count), to: &body)
        put(type, to: &body)
        body += value
        while body.count % 4 != 0 { body.append(0) }
    }

    private static func family(_ address: IPAddress) -> UInt8 { address.isIPv6 ? 10 : 2 }

    /// In the order of the network.
    private static func bytes(of address: IPAddress) -> [UInt8] {
        let words = address.isIPv6 ? [address.high, address.low] : [address.low << 32]
        let all = words.flatMap { word in
            (0..<8).map { UInt8(truncatingIfNeeded: word >> UInt64(56 - 8 * $0)) }
        }
        return address.isIPv6 ? all : Array(all[..<4])
    }

    private static func word(_ value: UInt32) -> [UInt8] {
        var bytes: [UInt8] = []
        put(value, to: &bytes)
        return bytes
    }

    /// In the machine's order, which is least significant first on every machine this runs on.
    private static func put(_ value: some FixedWidthInteger, to bytes: inout [UInt8]) {
        for index in 0..<(value.bitWidth / 8) {
            bytes.append(UInt8(truncatingIfNeeded: value >> (index * 8)))
        }
    }
}
