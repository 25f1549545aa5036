import Bytes
import Formats
import Linux

/// What tai64nlocal does: turns the label that a line begins with into local time. A label is `@` and
/// any number of lower-case hexadecimal digits; one that is no time in the calendar is passed on as it
/// is, as every other byte is.
public struct LocalTimeFilter: LineFilter {
    /// Where in a line the next byte is.
    private enum Place {
        case start
        case label
        case rest
    }

    /// More digits than this are no label; only the last 24 count anyway.
    private static let longestLabel = 1000

    private var place = Place.start
    private var label: [UInt8] = []
    private var seconds: UInt64 = 0
    private var nanoseconds: UInt32 = 0
    /// The last time that was turned into text, since most lines share its second.
    private var text: [UInt8] = []
    private var textSeconds: Int64?
    private var fractionStart = 0

    /// A filter for the time zone of the environment.
    public init() { label.reserveCapacity(LocalTimeFilter.longestLabel + 1) }

    /// Filters standard input to standard output.
    public mutating func run() throws(SystemError) {
        try run(from: Standard.input, to: Standard.output)
    }

    mutating func take(_ block: UnsafeRawBufferPointer, _ output: inout BufferedOutput)
        throws(SystemError)
    {
        var index = 0
        while index < block.count {
            switch place {
            case .start:
                let isLabel = block[index] == UInt8(ascii: "@")
                place = isLabel ? .label : .rest
                if isLabel {
                    startLabel()
                    index += 1
                }
            case .label:
                if label.count <= LocalTimeFilter.longestLabel,
                    let digit = TAI64N.digit(block[index])
                {
                    addDigit(digit, block[index])
                    index += 1
                } else {
                    try endLabel(&output)
                }
            case .rest:
                let rest = UnsafeRawBufferPointer(rebasing: block[index...])
                let newline = offset(of: UInt8(ascii: "\n"), in: rest)
                if newline != nil { place = .start }
                let count = newline.map { $0 + 1 } ?? rest.count
                try output.append(UnsafeRawBufferPointer(rebasing: rest[..<count]))
                index += count
            }
        }
    }

    /// Unlike the original, which drops a label that the input ends with.
    mutating func end(_ output: inout BufferedOutput) throws(SystemError) {
        if place == .label { try endLabel(&output) }
    }

    private mutating func startLabel() {
        label.removeAll(keepingCapacity: true)
        label.append(UInt8(ascii: "@"))
        seconds = 0
        nanoseconds = 0
    }

    private mutating func addDigit(_ digit: UInt8, _ byte: UInt8) {
        label.append(byte)
        seconds = seconds << 4 | UInt64(nanoseconds >> 28)
        nanoseconds = nanoseconds << 4 | UInt32(digit)
    }

    private mutating func endLabel(_ output: inout BufferedOutput) throws(SystemError) {
        place = .rest
        let time = TAI64N(label: seconds, nanoseconds: nanoseconds)
        guard label.count <= LocalTimeFilter.longestLabel, updateText(time.unixSeconds) else {
            return try output.append(label)
        }
        text.removeSubrange(fractionStart...)
        LocalTimeFilter.append(Int(nanoseconds), width: 9, to: &text)
        try output.append(text)
    }

    /// Makes `text` begin with `YYYY-MM-DD HH:MM:SS.` for the time; false if it has no such form.
    private mutating func updateText(_ unixSeconds: Int64) -> Bool {
        if textSeconds == unixSeconds { return true }
        guard let time = LocalTime(unixSeconds: unixSeconds) else { return false }
        textSeconds = unixSeconds
        text.removeAll(keepingCapacity: true)
        // A year before the first wraps, as in the original.
        appendDecimal(UInt(bitPattern: time.year), to: &text)
        for (separator, value) in [
            ("-", time.month), ("-", time.day), (" ", time.hour), (":", time.minute),
            (":", time.second),
        ] as [(StaticString, Int)] {
            text.append(separator.utf8Start.pointee)
            LocalTimeFilter.append(value, width: 2, to: &text)
        }
        text.append(UInt8(ascii: "."))
        fractionStart = text.count
        return true
    }

    /// Adds `value` in decimal, with zeros in front if it has fewer digits than `width`.
    private static func append(_ value: Int, width: Int, to text: inout [UInt8]) {
        var unit = 1
        for _ in 1..<width { unit *= 10 }
        while unit > 1 && value < unit {
            text.append(UInt8(ascii: "0"))
            unit /= 10
        }
        appendDecimal(value, to: &text)
    }
}
