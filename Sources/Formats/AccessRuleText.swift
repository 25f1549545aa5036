import Bytes

/// Why a line of access rules cannot be compiled.
public enum AccessRuleError: Error, Equatable {
    /// It does not parse; the line without trailing blanks.
    case unparsable([UInt8])
    /// The compiled rules would pass 4 GiB.
    case tooLarge
}

/// Compiles the text of access rules, line by line, to the database that AccessRules reads. The
/// language is that of tcprules(1): `ADDRESS:allow` or `ADDRESS:deny`, then `,NAME="VALUE"` as often
/// as wanted; and, beyond the original, `[IPV6]`, `[IPV6]/LENGTH` and `IPV4/LENGTH` as addresses.
///
/// An IPv4 prefix becomes the dotted prefixes and addresses it consists of, at most 256, which every
/// tcpserver understands. They are added last, the longest prefix first, so that of two rules for the
/// same address the more specific one is found, whatever their order in the text.
public struct AccessRuleCompiler {
    private struct Deferred {
        let length: Int
        let key: [UInt8]
        let data: [UInt8]
    }

    private var builder = CDBBuilder()
    private var deferred: [Deferred] = []
    private var hasPrefixLength = [Bool](repeating: false, count: 129)
    /// The data of the line's records.
    private var data: [UInt8] = []
    /// The keys so far, if lines that no client can match are to be found.
    private var keys: Set<[UInt8]>?
    /// How many keys the line has that somebody can match, and how many others.
    private var (reachable, unreachable) = (0, 0)

    /// No rules yet. With `findsUnreachable`, `add` tells of lines that are in vain.
    public init(findsUnreachable: Bool = false) { keys = findsUnreachable ? [] : nil }

    /// Adds the rules of one line, which may end in a newline. Comments and lines without a colon are
    /// passed over. Returns false if `findsUnreachable` was asked for and no client can ever match the line,
    /// or one of several rules that it stands for: because nobody is looked up by its address, or because
    /// an earlier line has the same.
    public mutating func add(_ line: ArraySlice<UInt8>) throws(AccessRuleError) -> Bool {
        if line.first == UInt8(ascii: "#") { return true }
        let text = withoutTrailingBlanks(line)
        guard let colon = addressEnd(text) else { return true }
        guard readInstructions(text[(colon + 1)...]) else { throw .unparsable(Array(text)) }
        (reachable, unreachable) = (0, 0)
        try add(address: text[..<colon], data: data, line: text)
        return keys == nil || reachable > 0 && unreachable == 0
    }

    /// Calls `body` with the next piece of the compiled file once there is a block's worth of it.
    public mutating func takeBlock<Failure: Error>(
        _ body: (UnsafeRawBufferPointer) throws(Failure) -> Void
    ) throws(Failure) { try builder.takeBlock(body) }

    /// Adds what had to wait until all lines were there.
    public mutating func complete() throws(AccessRuleError) {
        for length in stride(from: 32, through: 0, by: -1) {
            for rule in deferred where rule.length == length {
                try addRecord(rule.key, rule.data)
            }
        }
        deferred = []
        let lengths = (0...128).reversed().filter { hasPrefixLength[$0] }.map { UInt8($0) }
        if !lengths.isEmpty { try addRecord(prefixLengthsKey, lengths + lengths.map { ~$0 }) }
    }

    /// Calls `body` with the rest of the compiled file, in pieces, and returns the header, which takes the
    /// place of the file's first bytes. `complete` comes before.
    public consuming func finish<Failure: Error>(
        _ body: (UnsafeRawBufferPointer) throws(Failure) -> Void
    ) throws(Failure) -> [UInt8] { try builder.finish(body) }

    private mutating func add(_ key: some Collection<UInt8>, _ data: [UInt8])
        throws(AccessRuleError)
    {
        note(key)
        try addRecord(key, data)
    }

    private mutating func addRecord(_ key: some Collection<UInt8>, _ data: [UInt8])
        throws(AccessRuleError)
    { guard builder.add(key: key, data: data) else { throw .tooLarge } }

    private mutating func note(_ key: some Collection<UInt8>) {
        if keys == nil { return }
        let key = Array(key)
        let isNew = keys?.insert(key).inserted == true
        if isNew && canMatch(accessRuleKey: key[...]) { reachable += 1 } else { unreachable += 1 }
    }

    // MARK: - Lines

    private func withoutTrailingBlanks(_ line: ArraySlice<UInt8>) -> ArraySlice<UInt8> {
        var line = line
        while let last = line.last,
            last == UInt8(ascii: "\n") || last == UInt8(ascii: " ") || last == UInt8(ascii: "\t")
        { line.removeLast() }
        return line
    }

    /// Where the colon after the address is: the first one outside the brackets of an IPv6 address.
    private func addressEnd(_ line: ArraySlice<UInt8>) -> Int? {
        guard let colon = line.firstIndex(of: UInt8(ascii: ":")) else { return nil }
        let address = line[..<colon]
        guard address.contains(UInt8(ascii: "[")), let open = bracket(address),
            let close = line[open...].firstIndex(of: UInt8(ascii: "]")),
            IPAddress(line[(open + 1)..<close]) != nil
        else { return colon }
        return line[close...].firstIndex(of: UInt8(ascii: ":"))
    }

    /// A bracket that opens an address: at the start, or after the user's `@`.
    private func bracket(_ address: ArraySlice<UInt8>) -> Int? {
        if address.first == UInt8(ascii: "[") { return address.startIndex }
        guard let at = address.firstIndex(of: UInt8(ascii: "@")), at + 1 < address.endIndex,
            address[at + 1] == UInt8(ascii: "[")
        else { return nil }
        return at + 1
    }

    /// Puts the data of a record in `data`; returns false when the text after the address does not parse.
    private mutating func readInstructions(_ text: ArraySlice<UInt8>) -> Bool {
        data.removeAll(keepingCapacity: true)
        var rest = text
        if rest.begins(with: "deny") {
            data.append(UInt8(ascii: "D"))
            data.append(0)
            rest = rest.dropFirst(4)
        } else if rest.begins(with: "allow") {
            rest = rest.dropFirst(5)
        } else {
            return false
        }
        while let first = rest.first {
            guard first == UInt8(ascii: ","),
                let equals = rest.firstIndex(of: UInt8(ascii: "=")), equals + 1 < rest.endIndex,
                let close = rest[(equals + 2)...].firstIndex(of: rest[equals + 1])
            else { return false }
            let name = rest[(rest.startIndex + 1)...equals]
            let value = rest[(equals + 2)..<close]
            // A NUL would end the item before its time, and what follows be taken for another.
            if name.contains(0) || value.contains(0) { return false }
            data.append(UInt8(ascii: "+"))
            data.append(contentsOf: name)
            data.append(contentsOf: value)
            data.append(0)
            rest = rest[(close + 1)...]
        }
        return true
    }

    // MARK: - Addresses

    private mutating func add(
        address: ArraySlice<UInt8>, data: [UInt8], line: ArraySlice<UInt8>
    ) throws(AccessRuleError) {
        // Most addresses are numbers and dots: they are told apart from all others in one pass.
        let isPlain = address.allSatisfy { byte in
            UInt8(ascii: "0")...UInt8(ascii: "9") ~= byte || byte == UInt8(ascii: ".")
        }
        if isPlain {
            try add(address, data)
        } else if let open = bracket(address),
            let close = address.firstIndex(of: UInt8(ascii: "]")),
            let ip = IPAddress(address[(open + 1)..<close])
        {
            try add(ip, user: address[..<open], suffix: address[(close + 1)...], data, line: line)
        } else if address.contains(UInt8(ascii: "=")) || address.contains(UInt8(ascii: "@")) {
            try add(address, data)
        } else if let slash = address.firstIndex(of: UInt8(ascii: "/")),
            let network = IPAddress(address[..<slash]), !network.isIPv6
        {
            guard let length = decimal(address[(slash + 1)...]), length <= 32 else {
                throw .unparsable(Array(line))
            }
            try add(network: network.prefix(length), length: length, data)
        } else if let dash = address.firstIndex(of: UInt8(ascii: "-")) {
            try add(range: address, dash: dash, data, line: line)
        } else {
            try add(address, data)
        }
    }

    /// `USER@[IPV6]`, `[IPV6]` or `[IPV6]/LENGTH`.
    private mutating func add(
        _ ip: IPAddress, user: ArraySlice<UInt8>, suffix: ArraySlice<UInt8>, _ data: [UInt8],
        line: ArraySlice<UInt8>
    ) throws(AccessRuleError) {
        if suffix.isEmpty { return try add(Array(user) + ip.text, data) }
        guard user.isEmpty, ip.isIPv6, suffix.first == UInt8(ascii: "/"),
            let length = decimal(suffix.dropFirst()), length <= ip.width
        else { throw .unparsable(Array(line)) }
        hasPrefixLength[length] = true
        try add(prefixKey(ip, length), data)
    }

    /// `1.2.3.37-53` is 17 rules: the numbers around the dash, as far as the next dots.
    private mutating func add(
        range address: ArraySlice<UInt8>, dash: Int, _ data: [UInt8], line: ArraySlice<UInt8>
    ) throws(AccessRuleError) {
        let dot = UInt8(ascii: ".")
        let left = address[..<dash].lastIndex(of: dot).map { $0 + 1 } ?? address.startIndex
        let right = address[dash...].firstIndex(of: dot) ?? address.endIndex
        guard let bottom = number(address[left..<dash]),
            let top = number(address[(dash + 1)..<right])
        else { throw .unparsable(Array(line)) }
        var value = bottom
        while value <= min(top, 255) {
            var key = Array(address[..<left])
            appendDecimal(value, to: &key)
            try add(key + address[right...], data)
            value += 1
        }
    }

    /// Decimal digits only, wrapping as scan_ulong does; none at all are 0.
    private func number(_ text: ArraySlice<UInt8>) -> UInt? {
        var value: UInt = 0
        for byte in text {
            let digit = byte &- UInt8(ascii: "0")
            guard digit < 10 else { return nil }
            value = value &* 10 &+ UInt(digit)
        }
        return value
    }

    private mutating func add(network: IPAddress, length: Int, _ data: [UInt8])
        throws(AccessRuleError)
    {
        let octets = max(1, (length + 7) / 8)
        let step = UInt64(1) << UInt64(32 - 8 * octets)
        let count = 1 << (8 * octets - length)
        for index in 0..<UInt64(count) {
            let ip = IPAddress(ipv4: UInt32(truncatingIfNeeded: network.low + index * step))
            let key = dottedPrefix(ip, octets)
            if length % 8 == 0 && length > 0 {
                try add(key, data)
            } else {
                // Of two networks around one address the smaller one counts: both are in use.
                reachable += 1
                deferred.append(Deferred(length: length, key: key, data: data))
            }
        }
    }

    /// The first `octets` numbers, each with its dot unless all four are there.
    private func dottedPrefix(_ ip: IPAddress, _ octets: Int) -> [UInt8] {
        let text = ip.text
        if octets == 4 { return text }
        var dots = 0
        let end = text.firstIndex { byte in
            if byte == UInt8(ascii: ".") { dots += 1 }
            return dots == octets
        }
        return Array(text[...(end ?? text.endIndex - 1)])
    }
}
