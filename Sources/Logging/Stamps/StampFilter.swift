import Bytes
import Formats
import Linux

/// What tai64n does: puts a TAI64N label and a space before each line. Lines that arrive in one block
/// arrived at one time, and get the same label.
public struct StampFilter: LineFilter {
    private let now: () -> TAI64N
    private var isAtLineStart = true

    /// A filter that stamps with what `now` returns.
    public init(now: @escaping () -> TAI64N = LogEngine.currentTime) { self.now = now }

    /// Filters standard input to standard output.
    public mutating func run() throws(SystemError) {
        try run(from: Standard.input, to: Standard.output)
    }

    mutating func take(_ block: UnsafeRawBufferPointer, _ output: inout BufferedOutput)
        throws(SystemError)
    {
        let stamp = now().text + [UInt8(ascii: " ")]
        var rest = block
        while !rest.isEmpty {
            if isAtLineStart { try output.append(stamp) }
            let newline = offset(of: UInt8(ascii: "\n"), in: rest)
            isAtLineStart = newline != nil
            let count = newline.map { $0 + 1 } ?? rest.count
            try output.append(UnsafeRawBufferPointer(rebasing: rest[..<count]))
            rest = UnsafeRawBufferPointer(rebasing: rest[count...])
        }
    }

    mutating func end(_ output: inout BufferedOutput) throws(SystemError) {}
}
