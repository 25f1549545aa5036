import Bytes

/// Shows what a terminal would act on: control characters as `^X`, bytes above 127 as `M-` and the
/// lower one's form; tab and line feed stay. What a server sends is not to be trusted with somebody's
/// terminal. `cat -v`.
public struct VisibleText: ByteFilter {
    /// `M-^X`.
    public static let growth = 4

    /// A filter at the start of a stream.
    public init() {}

    /// Shows every byte by itself; nothing is held back.
    public mutating func apply(
        _ input: UnsafeRawBufferPointer, to output: UnsafeMutableRawBufferPointer
    ) -> Int {
        var index = 0
        var count = 0
        while index < input.count {
            input.copyWords(&index, to: output, &count) { $0.isPrintable }
            let end = min(index + 8, input.count)
            while index < end {
                let byte = input[index]
                show(byte, output, &count)
                index += 1
            }
        }
        return count
    }

    private func show(_ byte: UInt8, _ output: UnsafeMutableRawBufferPointer, _ count: inout Int) {
        func put(_ character: UInt8) {
            output[count] = character
            count += 1
        }
        if byte == UInt8(ascii: "\t") || byte == UInt8(ascii: "\n") { return put(byte) }
        if byte >= 128 {
            put(UInt8(ascii: "M"))
            put(UInt8(ascii: "-"))
        }
        let low = byte & 127
        if low < 32 || low == 127 {
            put(UInt8(ascii: "^"))
            put(low ^ 64)
        } else {
            put(low)
        }
    }
}
