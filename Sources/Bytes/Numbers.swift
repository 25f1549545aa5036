// Numbers as text, in the bases and the dialects that the programs read and write.

/// Adds `value` in decimal, with a minus sign if it is negative.
public func appendDecimal(_ value: some BinaryInteger, to bytes: inout [UInt8]) {
    if value < 0 { bytes.append(UInt8(ascii: "-")) }
    var magnitude = value.magnitude
    let start = bytes.count
    repeat {
        let (quotient, digit) = magnitude.quotientAndRemainder(dividingBy: 10)
        bytes.append(UInt8(ascii: "0") + UInt8(truncatingIfNeeded: digit))
        magnitude = quotient
    } while magnitude != 0
    bytes[start...].reverse()
}

/// The number that `text` is, decimal digits, after a minus sign perhaps, and nothing else, if it is one
/// of `range`.
public func parseDecimal(_ text: ByteString, within range: ClosedRange<Int>) -> Int? {
    let isNegative = text.bytes.first == UInt8(ascii: "-")
    let digits = text.bytes.dropFirst(isNegative ? 1 : 0)
    let (magnitude, length) = scanDecimal(digits)
    // More digits might wrap.
    guard (1...18).contains(length), length == digits.count else { return nil }
    let value = isNegative ? -Int(magnitude) : Int(magnitude)
    return range.contains(value) ? value : nil
}

/// Reads leading decimal digits as DJB's `scan_ulong` does: no sign, no blanks, wrapping silently.
/// Returns the value and how many bytes were digits.
public func scanDecimal(_ bytes: some Sequence<UInt8>) -> (value: UInt, length: Int) {
    var value: UInt = 0
    var length = 0
    for byte in bytes {
        let digit = byte &- UInt8(ascii: "0")
        if digit > 9 { break }
        value = value &* 10 &+ UInt(digit)
        length += 1
    }
    return (value, length)
}

/// Adds `value` in hexadecimal, in lower case, with leading zeros up to `width` digits.
public func appendHexadecimal(
    _ value: some FixedWidthInteger, width: Int = 1, to bytes: inout [UInt8]
) {
    let digits = max(width, (value.bitWidth - value.leadingZeroBitCount + 3) / 4)
    for place in (0..<digits).reversed() {
        let digit =
            place * 4 < value.bitWidth ? UInt8(truncatingIfNeeded: value >> (place * 4)) & 15 : 0
        bytes.append(hexadecimalCharacter(digit))
    }
}

/// The lower-case character for `digit`, which is below 16.
public func hexadecimalCharacter(_ digit: UInt8) -> UInt8 {
    digit < 10 ? UInt8(ascii: "0") + digit : UInt8(ascii: "a") + digit - 10
}

/// The value of one hexadecimal digit in either case; nil when `byte` is none.
public func hexadecimalDigit(_ byte: UInt8) -> UInt8? {
    switch byte {
    case UInt8(ascii: "0")...UInt8(ascii: "9"): byte - UInt8(ascii: "0")
    case UInt8(ascii: "a")...UInt8(ascii: "f"): byte - UInt8(ascii: "a") + 10
    case UInt8(ascii: "A")...UInt8(ascii: "F"): byte - UInt8(ascii: "A") + 10
    default: nil
    }
}

/// The number that `digits` is, hexadecimal digits of either case and nothing else; nil when it has
/// none, or more than 64 bits.
public func parseHexadecimal(_ digits: some Sequence<UInt8>) -> UInt64? {
    var value: UInt64?
    for byte in digits {
        guard let digit = hexadecimalDigit(byte), (value ?? 0) >> 60 == 0 else { return nil }
        value = (value ?? 0) << 4 | UInt64(digit)
    }
    return value
}
