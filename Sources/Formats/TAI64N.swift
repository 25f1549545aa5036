import Bytes

/// A point in time as a TAI64N label: seconds on the TAI scale plus 2^62, and nanoseconds. As text it
/// is `@` and 24 lower-case hexadecimal digits, which sort as time does; as bytes, twelve of them,
/// big-endian. Like the original, this knows no leap seconds: TAI is always ten seconds ahead of
/// Unix time.
public struct TAI64N: Hashable, Comparable, Sendable {
    /// The label of 1970-01-01 00:00:00 UTC: 2^62 + 10.
    public static let unixEpoch: UInt64 = 4_611_686_018_427_387_914
    /// The length of `text`.
    public static let textCount = 25
    /// The length of `binary`.
    public static let binaryCount = 12

    /// The TAI64 label.
    public let seconds: UInt64
    /// Nanoseconds within the second.
    public let nanoseconds: UInt32

    /// A label as it is.
    public init(label seconds: UInt64, nanoseconds: UInt32) {
        self.seconds = seconds
        self.nanoseconds = nanoseconds
    }

    /// The label of a Unix time; times before 1970 have one too.
    public init(unixSeconds: Int64, nanoseconds: UInt32) {
        self.init(
            label: TAI64N.unixEpoch &+ UInt64(bitPattern: unixSeconds), nanoseconds: nanoseconds)
    }

    /// Reads twelve big-endian bytes; nil when there are fewer or more.
    public init?(binary bytes: some Collection<UInt8>) {
        guard bytes.count == TAI64N.binaryCount else { return nil }
        var seconds: UInt64 = 0
        for byte in bytes.prefix(8) { seconds = seconds << 8 | UInt64(byte) }
        var nanoseconds: UInt32 = 0
        for byte in bytes.dropFirst(8) { nanoseconds = nanoseconds << 8 | UInt32(byte) }
        self.init(label: seconds, nanoseconds: nanoseconds)
    }

    /// Reads `@` and exactly 24 lower-case hexadecimal digits; nil for anything else.
    public init?(text bytes: some Collection<UInt8>) {
        guard bytes.count == TAI64N.textCount, bytes.first == UInt8(ascii: "@") else { return nil }
        var seconds: UInt64 = 0
        var nanoseconds: UInt32 = 0
        for byte in bytes.dropFirst() {
            guard let digit = TAI64N.digit(byte) else { return nil }
            seconds = seconds << 4 | UInt64(nanoseconds >> 28)
            nanoseconds = nanoseconds << 4 | UInt32(digit)
        }
        self.init(label: seconds, nanoseconds: nanoseconds)
    }

    /// The label of a nanosecond later; nil after the last one that names a time: those from 2^63 on are
    /// reserved.
    public var next: TAI64N? {
        let last: UInt64 = (1 << 63) - 1
        if seconds <= last && nanoseconds < 999_999_999 {
            return TAI64N(label: seconds, nanoseconds: nanoseconds + 1)
        }
        return seconds < last ? TAI64N(label: seconds + 1, nanoseconds: 0) : nil
    }

    /// The Unix time of the label, negative before 1970.
    public var unixSeconds: Int64 { Int64(bitPattern: seconds &- TAI64N.unixEpoch) }

    /// `@` and 24 lower-case hexadecimal digits.
    public var text: [UInt8] {
        [UInt8](unsafeUninitializedCapacity: TAI64N.textCount) { buffer, count in
            if let base = buffer.baseAddress { writeText(to: base) }
            count = TAI64N.textCount
        }
    }

    /// Twelve bytes, big-endian.
    public var binary: [UInt8] {
        let shifts = stride(from: 56, through: 0, by: -8)
        return shifts.map { UInt8(truncatingIfNeeded: seconds >> UInt64($0)) }
            + shifts.suffix(4).map { UInt8(truncatingIfNeeded: nanoseconds >> UInt32($0)) }
    }

    /// Puts the 25 bytes of `text` at `target`, which has room for them.
    public func writeText(to target: UnsafeMutablePointer<UInt8>) {
        target[0] = UInt8(ascii: "@")
        for position in 0..<16 {
            target[1 + position] = TAI64N.hexadecimal(seconds >> UInt64(60 - 4 * position))
        }
        for position in 0..<8 {
            target[17 + position] = TAI64N.hexadecimal(
                UInt64(nanoseconds >> UInt32(28 - 4 * position)))
        }
    }

    /// The value of a lower-case hexadecimal digit; nil for any other byte.
    public static func digit(_ byte: UInt8) -> UInt8? {
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): byte - UInt8(ascii: "0")
        case UInt8(ascii: "a")...UInt8(ascii: "f"): byte - UInt8(ascii: "a") + 10
        default: nil
        }
    }

    /// Earlier first.
    public static func < (left: TAI64N, right: TAI64N) -> Bool {
        (left.seconds, left.nanoseconds) < (right.seconds, right.nanoseconds)
    }

    /// The character for the lowest four bits.
    private static func hexadecimal(_ value: UInt64) -> UInt8 {
        hexadecimalCharacter(UInt8(truncatingIfNeeded: value & 15))
    }
}
