import Bytes

/// An IPv4 or IPv6 address. An IPv4-mapped IPv6 address is the IPv4 address it maps.
public struct IPAddress: Hashable, Sendable {
    /// Bits 127 to 64 of an IPv6 address, else 0.
    public let high: UInt64
    /// Bits 63 to 0 of an IPv6 address, or the 32 bits of an IPv4 address.
    public let low: UInt64
    /// Which of the two it is.
    public let isIPv6: Bool

    /// The IPv4 address with these 32 bits, the first number of its text in the highest.
    public init(ipv4 bits: UInt32) {
        high = 0
        low = UInt64(bits)
        isIPv6 = false
    }

    /// The IPv6 address with these bits, or the IPv4 address it maps.
    public init(high: UInt64, low: UInt64) {
        let isMapped = high == 0 && low >> 32 == 0xffff
        self.high = high
        self.low = isMapped ? low & 0xffff_ffff : low
        isIPv6 = !isMapped
    }

    /// How many bits it has: 32 or 128.
    public var width: Int { isIPv6 ? 128 : 32 }

    /// This address with all but the first `length` bits zero; `length` is 0 to `width`.
    public func prefix(_ length: Int) -> IPAddress {
        guard isIPv6 else {
            return IPAddress(ipv4: UInt32(truncatingIfNeeded: low) & mask32(length))
        }
        return IPAddress(
            unmappedHigh: high & mask64(min(length, 64)), low: low & mask64(max(length - 64, 0)))
    }

    /// A prefix of a mapped address would itself be mapped back: keep it what it is.
    private init(unmappedHigh: UInt64, low: UInt64) {
        high = unmappedHigh
        self.low = low
        isIPv6 = true
    }

    private func mask32(_ length: Int) -> UInt32 { length == 0 ? 0 : ~0 << UInt32(32 - length) }
    private func mask64(_ length: Int) -> UInt64 { length == 0 ? 0 : ~0 << UInt64(64 - length) }
}

// MARK: - Text

extension IPAddress {
    /// Adds the address in the form programs are given: `192.0.2.1`, or RFC 5952's for IPv6.
    public func write(to text: inout [UInt8]) {
        if !isIPv6 {
            for shift in stride(from: 24 as UInt64, through: 0, by: -8) {
                appendDecimal(UInt(low >> shift & 255), to: &text)
                if shift > 0 { text.append(UInt8(ascii: ".")) }
            }
            return
        }
        let colon = UInt8(ascii: ":")
        let zeros = longestZeroRun()
        var index = 0
        var follows = false
        while index < 8 {
            if zeros.count > 1 && index == zeros.start {
                text.append(colon)
                text.append(colon)
                index += zeros.count
                follows = false
            } else {
                if follows { text.append(colon) }
                appendHexadecimal(group(index), to: &text)
                index += 1
                follows = true
            }
        }
    }

    /// The address as text.
    public var text: [UInt8] {
        var text: [UInt8] = []
        write(to: &text)
        return text
    }

    /// Sixteen bits of an IPv6 address, the first ones being group 0.
    private func group(_ index: Int) -> UInt16 {
        let half = index < 4 ? high : low
        return UInt16(truncatingIfNeeded: half >> UInt64(48 - 16 * (index & 3)))
    }

    private func longestZeroRun() -> (start: Int, count: Int) {
        var best = (start: 0, count: 0)
        var run = 0
        for index in 0..<8 {
            run = group(index) == 0 ? run + 1 : 0
            if run > best.count { best = (index - run + 1, run) }
        }
        return best
    }

    /// Reads a whole IPv4 address of four decimal numbers, or an IPv6 address without brackets.
    public init?(_ text: ArraySlice<UInt8>) {
        if let bits = IPAddress.ipv4(text) {
            self.init(ipv4: bits)
        } else if let (high, low) = IPAddress.ipv6(text) {
            self.init(high: high, low: low)
        } else {
            return nil
        }
    }

    private static func ipv4(_ text: ArraySlice<UInt8>) -> UInt32? {
        var bits: UInt32 = 0
        let parts = text.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false)
        guard parts.count == 4 else { return nil }
        for part in parts {
            guard let number = decimal(part), number <= 255 else { return nil }
            bits = bits << 8 | UInt32(number)
        }
        return bits
    }

    private static func ipv6(_ text: ArraySlice<UInt8>) -> (UInt64, UInt64)? {
        let colon = UInt8(ascii: ":")
        var before: [UInt16] = []
        var after: [UInt16] = []
        var compressed = false
        var rest = text
        if rest.starts(with: [colon, colon]) {
            compressed = true
            rest = rest.dropFirst(2)
        }
        while !rest.isEmpty {
            let part = rest.prefix { $0 != colon }
            rest = rest[part.endIndex...]
            guard let groups = ipv6Part(part, isLast: rest.isEmpty) else { return nil }
            if compressed { after += groups } else { before += groups }
            if rest.isEmpty { break }
            rest = rest.dropFirst()
            if rest.first == colon {
                if compressed { return nil }
                compressed = true
                rest = rest.dropFirst()
            } else if rest.isEmpty {
                return nil
            }
        }
        let count = before.count + after.count
        guard compressed ? count < 8 : count == 8 else { return nil }
        let groups = before + [UInt16](repeating: 0, count: 8 - count) + after
        let join = { (part: ArraySlice<UInt16>) in part.reduce(UInt64(0)) { $0 << 16 | UInt64($1) }
        }
        return (join(groups[..<4]), join(groups[4...]))
    }

    /// One hexadecimal group; or, at the end, an IPv4 address that is two of them.
    private static func ipv6Part(_ part: ArraySlice<UInt8>, isLast: Bool) -> [UInt16]? {
        if isLast, let bits = ipv4(part) {
            return [UInt16(truncatingIfNeeded: bits >> 16), UInt16(truncatingIfNeeded: bits)]
        }
        guard (1...4).contains(part.count), let group = parseHexadecimal(part) else { return nil }
        return [UInt16(truncatingIfNeeded: group)]
    }
}

/// The number that is the whole of `text`, which is 1 to 3 decimal digits.
func decimal(_ text: ArraySlice<UInt8>) -> Int? {
    let (value, length) = scanDecimal(text)
    guard (1...3).contains(text.count), length == text.count else { return nil }
    return Int(value)
}
