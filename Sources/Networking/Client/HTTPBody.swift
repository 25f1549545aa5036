import Bytes

/// What http@(1) shows of an answer, whose lines end in line feeds alone: the lines after the first
/// empty one. Empty lines are left out there too, and the last line gets its line feed, as the awk
/// program of the original has it.
public struct HTTPBody: ByteFilter {
    /// The last line's line feed comes on top.
    public static let growth = 1
    private static let lineFeed = UInt8(ascii: "\n")
    private var isHeader = true
    private var isLineEmpty = true

    /// A filter before the status line.
    public init() {}

    /// Passes on the lines of the body as far as they have come.
    public mutating func apply(
        _ input: UnsafeRawBufferPointer, to output: UnsafeMutableRawBufferPointer
    ) -> Int {
        var index = 0
        var count = 0
        while isHeader && index < input.count {
            let endsLine = input[index] == HTTPBody.lineFeed
            isHeader = !(endsLine && isLineEmpty)
            isLineEmpty = endsLine
            index += 1
        }
        while index < input.count {
            let start = index
            input.copyWords(&index, to: output, &count) { !$0.contains(HTTPBody.lineFeed) }
            if index > start { isLineEmpty = false }
            let end = min(index + 8, input.count)
            while index < end {
                let byte = input[index]
                let endsLine = byte == HTTPBody.lineFeed
                output[count] = byte
                count += endsLine && isLineEmpty ? 0 : 1
                isLineEmpty = endsLine
                index += 1
            }
        }
        return count
    }

    /// Ends a last line that had no line feed.
    public mutating func finish(to output: UnsafeMutableRawBufferPointer) -> Int {
        if isHeader || isLineEmpty { return 0 }
        output[0] = HTTPBody.lineFeed
        return 1
    }
}
