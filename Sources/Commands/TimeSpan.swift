import Bytes

/// The milliseconds that `text` is: a number of seconds, or one followed by `ms`, `s`, `m` or `h`; nil when it is none
/// of these, or longer than a year.
public func parseTimeSpan(_ text: ByteString) -> UInt64? {
    let (value, length) = scanDecimal(text.bytes)
    let units: [(name: StaticString, milliseconds: UInt64)] = [
        ("", 1000), ("ms", 1), ("s", 1000), ("m", 60_000), ("h", 3_600_000),
    ]
    guard (1...12).contains(length),
        let unit = units.first(where: { text.bytes.dropFirst(length).isSpelled($0.name) })
    else { return nil }
    let milliseconds = UInt64(value) * unit.milliseconds
    return milliseconds <= 31_536_000_000 ? milliseconds : nil
}
