import Bytes

/// The types of DNS records that are asked for.
public enum DNSRecordType: UInt16, Sendable {
    /// An IPv4 address of four bytes.
    case address = 1
    /// Text: strings of a length byte and as many bytes.
    case text = 16
}

/// A question to a name server that asks others in turn, RFC 1035.
public struct DNSQuery: Sendable {
    /// The message, ready to be sent in a datagram.
    public let bytes: [UInt8]

    static let headerCount = 12
    static let internet: UInt16 = 1

    /// Asks for the records of `type` that `name` has. Nil if a part between the dots of `name` is longer
    /// than 63 bytes, or all of it too long. Empty parts are left out.
    public init?(_ name: [UInt8], _ type: DNSRecordType, id: UInt16) {
        var bytes: [UInt8] = []
        // Recursion desired; one question.
        for field in [id, 0x0100, 1, 0, 0, 0] { DNSQuery.append(field, to: &bytes) }
        for label in name.split(separator: UInt8(ascii: ".")) {
            if label.count > 63 { return nil }
            bytes.append(UInt8(label.count))
            bytes.append(contentsOf: label)
        }
        bytes.append(0)
        if bytes.count > DNSQuery.headerCount + 255 { return nil }
        DNSQuery.append(type.rawValue, to: &bytes)
        DNSQuery.append(DNSQuery.internet, to: &bytes)
        self.bytes = bytes
    }

    private static func append(_ field: UInt16, to bytes: inout [UInt8]) {
        bytes.append(UInt8(field >> 8))
        bytes.append(UInt8(field & 255))
    }
}

/// A name server's answer to a query.
public struct DNSAnswer: Sendable {
    /// Whether there is more than a datagram holds: to be asked again over TCP.
    public let isTruncated: Bool
    /// Whether the server could not find out; else it knows, if only that there is no such name.
    public let isFailure: Bool
    private let records: ArraySlice<UInt8>
    private let count: Int

    /// Reads an answer. Nil if `bytes` are none, or none to `query`: somebody may be guessing.
    public init?(_ bytes: [UInt8], to query: DNSQuery) {
        let question = query.bytes[DNSQuery.headerCount...]
        guard bytes.count >= query.bytes.count, bytes.starts(with: query.bytes[..<2]),
            bytes[2] & 0x80 != 0, bytes[4] == 0, bytes[5] == 1,
            zip(bytes[DNSQuery.headerCount...], question).allSatisfy({
                DNSAnswer.lowercase($0) == DNSAnswer.lowercase($1)
            })
        else { return nil }
        let code = bytes[3] & 15
        isTruncated = bytes[2] & 2 != 0
        // No error, and no such name.
        isFailure = code != 0 && code != 3
        count = Int(bytes[6]) << 8 | Int(bytes[7])
        records = bytes[query.bytes.count...]
    }

    /// The data of the records of `type`, whosever they are: an alias comes with what it stands for. Nil
    /// if the answer is cut off or garbled.
    public func data(_ type: DNSRecordType) -> [ArraySlice<UInt8>]? {
        var found: [ArraySlice<UInt8>] = []
        var rest = records
        for _ in 0..<count {
            guard DNSAnswer.skipName(&rest), let kind = DNSAnswer.field(&rest),
                let network = DNSAnswer.field(&rest), DNSAnswer.field(&rest) != nil,
                DNSAnswer.field(&rest) != nil, let length = DNSAnswer.field(&rest),
                rest.count >= Int(length)
            else { return nil }
            if kind == type.rawValue && network == DNSQuery.internet {
                found.append(rest.prefix(Int(length)))
            }
            rest = rest.dropFirst(Int(length))
        }
        return found
    }

    private static func lowercase(_ byte: UInt8) -> UInt8 {
        (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains(byte) ? byte | 0x20 : byte
    }

    private static func field(_ rest: inout ArraySlice<UInt8>) -> UInt16? {
        guard let high = rest.popFirst(), let low = rest.popFirst() else { return nil }
        return UInt16(high) << 8 | UInt16(low)
    }

    /// A name is labels up to an empty one, or up to a pointer to the rest of it.
    private static func skipName(_ rest: inout ArraySlice<UInt8>) -> Bool {
        while let length = rest.popFirst() {
            switch length {
            case 0: return true
            case 1...63:
                if rest.count < Int(length) { return false }
                rest = rest.dropFirst(Int(length))
            case 192...255: return rest.popFirst() != nil
            default: return false
            }
        }
        return false
    }
}

/// The bytes of all strings of a text record, one after the other. A string that is longer than the record
/// ends with it.
public func joinedText(_ record: ArraySlice<UInt8>) -> [UInt8] {
    var text: [UInt8] = []
    var rest = record
    while let length = rest.popFirst() {
        text += rest.prefix(Int(length))
        rest = rest.dropFirst(Int(length))
    }
    return text
}
