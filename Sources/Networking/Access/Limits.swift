import Bytes
import Commands
import Formats
import Linux

/// How many programs or connections a client may have, and what it is told when it meets a limit. The
/// variables are those of the tcpserver-limits patch of 2007-12-22 and, in its manner, ones for any
/// prefix length and for a rate. They come from tcpserver's own environment and from the rule of the
/// connection. A value that is no number counts as 0, which denies.
struct Limits {
    /// What limits there are; the names of the variables.
    enum Kind: Int, CaseIterable {
        case load, address, network, prefix4, prefix6, rate

        var variable: StaticString {
            switch self {
            case .load: "MAXLOAD"
            case .address: "MAXCONNIP"
            case .network: "MAXCONNC"
            case .prefix4: "MAXCONN4"
            case .prefix6: "MAXCONN6"
            case .rate: "MAXRATE"
            }
        }
    }

    private var load: UInt = 0
    private var perAddress: UInt?
    private var perNetwork: UInt?
    private var perPrefix4: [PrefixLimit] = []
    private var perPrefix6: [PrefixLimit] = []
    /// The most connections in a time; kept by the accept loop, which alone sees all of them.
    private var rate: Rate?
    /// By kind, and the general one last.
    private var messages = [ByteString](repeating: ByteString(), count: Kind.allCases.count + 1)

    /// The limits that the environment sets.
    init(_ environment: Environment) {
        for entry in environment.entries {
            entry.withCString {
                apply(UnsafeRawBufferPointer(start: $0, count: entry.count))
            }
        }
    }

    /// Takes `NAME=VALUE` into account, if it is one of the limits' names.
    mutating func apply(_ variable: UnsafeRawBufferPointer) {
        guard let first = variable.first,
            first == UInt8(ascii: "M") || first == UInt8(ascii: "D"),
            let equals = variable.firstIndex(of: UInt8(ascii: "="))
        else { return }
        let name = variable[..<equals]
        let value = variable[(equals + 1)...]
        if name.isSpelled("DIEMSG") { messages[Kind.allCases.count] = ByteString(value) }
        for kind in Kind.allCases {
            if name.isSpelled(kind.variable) { set(kind, value) }
            if name.begins(with: "DIEMSG_"), name.dropFirst(7).isSpelled(kind.variable) {
                messages[kind.rawValue] = ByteString(value)
            }
        }
    }

    private mutating func set(_ kind: Kind, _ value: Slice<UnsafeRawBufferPointer>) {
        let number = scanDecimal(value).value
        switch kind {
        case .load: load = number
        case .address: perAddress = number
        case .network: perNetwork = number
        case .prefix4: perPrefix4 = PrefixLimit.list(value, width: 32)
        case .prefix6: perPrefix6 = PrefixLimit.list(value, width: 128)
        case .rate: rate = Rate(value)
        }
    }

    /// The denial if the machine has more to do than is allowed.
    func checkLoad() -> Denial? {
        if load == 0 { return nil }
        let current = loadAverage()
        return current > load ? .limit(.load, "\(current)") : nil
    }

    /// The denial if `peer` comes too often. It takes a token of `rates`, which only the accept loop keeps.
    func checkRate(_ peer: IPAddress, _ rates: RateTable?) -> Denial? {
        guard let rate, let rates, !rates.take(peer, rate, now: Instant.now.nanoseconds) else {
            return nil
        }
        return .limit(.rate, rate.text)
    }

    /// The denial if `peer` or its networks have all the connections they may have; the address's count
    /// comes before the network's.
    func checkConnections(_ peer: IPAddress, _ children: inout Children) -> Denial? {
        if let perAddress, children.count(for: peer, prefix: peer.width) >= perAddress {
            return .limit(.address, "\(perAddress)")
        }
        // What one customer has: 256 IPv4 addresses, or one IPv6 network.
        if let perNetwork, children.count(for: peer, prefix: peer.isIPv6 ? 64 : 24) >= perNetwork {
            return .limit(.network, "\(perNetwork)")
        }
        for limit in peer.isIPv6 ? perPrefix6 : perPrefix4
        where children.count(for: peer, prefix: limit.length) >= limit.count {
            return .limit(peer.isIPv6 ? .prefix6 : .prefix4, "\(limit.count)/\(limit.length)")
        }
        return nil
    }

    /// What to send to a client that is denied, without the line's end.
    func message(for denial: Denial) -> ByteString {
        if case .limit(let kind, _) = denial, !messages[kind.rawValue].isEmpty {
            return messages[kind.rawValue]
        }
        return messages[Kind.allCases.count]
    }
}

/// Why a connection is denied: by its rule, or by a limit, with what the log says of that.
enum Denial {
    case rule
    case limit(Limits.Kind, ByteString)

    /// What the log line ends with.
    var suffix: ByteString {
        switch self {
        case .rule: ByteString()
        case .limit(let kind, let value): " \(kind.variable):\(value)"
        }
    }
}

/// `COUNT/LENGTH`: at most so many for the addresses that share so many bits.
private struct PrefixLimit {
    let count: UInt
    let length: Int

    /// A list with commas. A length that is missing or impossible is the whole address.
    static func list(_ text: Slice<UnsafeRawBufferPointer>, width: Int) -> [PrefixLimit] {
        text.split(separator: UInt8(ascii: ",")).map { item in
            let numbers = item.numbers
            let length = numbers.count > 1 ? Int(clamping: numbers[1]) : width
            return PrefixLimit(count: numbers.first ?? 0, length: min(length, width))
        }
    }
}

/// `COUNT/SECONDS`, and then `/LENGTH` for IPv4 and `/LENGTH` for IPv6: at most so many connections in
/// that time, all at once if they like, from addresses that share so many bits.
struct Rate: Equatable {
    let count: UInt64
    let seconds: UInt64
    private let length4: Int
    private let length6: Int

    init(_ text: Slice<UnsafeRawBufferPointer>) {
        let numbers = text.numbers
        count = UInt64(numbers.first ?? 0)
        seconds = min(numbers.count > 1 ? UInt64(max(numbers[1], 1)) : 1, 1 << 30)
        length4 = numbers.count > 2 ? min(Int(clamping: numbers[2]), 32) : 32
        length6 = numbers.count > 3 ? min(Int(clamping: numbers[3]), 128) : 64
    }

    /// What is counted together with `peer`.
    func prefix(of peer: IPAddress) -> IPAddress { peer.prefix(peer.isIPv6 ? length6 : length4) }

    /// As the log shows it.
    var text: ByteString { "\(count)/\(seconds)" }
}

extension Slice<UnsafeRawBufferPointer> {
    /// The numbers between slashes; what is none is 0.
    fileprivate var numbers: [UInt] {
        split(separator: UInt8(ascii: "/"), omittingEmptySubsequences: false).map {
            scanDecimal($0).value
        }
    }
}
