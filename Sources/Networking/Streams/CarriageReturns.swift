import Bytes

private let lineFeed = UInt8(ascii: "\n")
private let carriageReturn = UInt8(ascii: "\r")

/// Puts a carriage return before every line feed, also where one is already: addcr(1).
public struct CarriageReturnInserter: ByteFilter {
    /// A line feed becomes two bytes.
    public static let growth = 2

    /// A filter at the start of a stream.
    public init() {}

    /// Inserts; nothing is held back.
    public mutating func apply(
        _ input: UnsafeRawBufferPointer, to output: UnsafeMutableRawBufferPointer
    ) -> Int {
        var index = 0
        var count = 0
        while index < input.count {
            input.copyWords(&index, to: output, &count) { !$0.contains(lineFeed) }
            let end = min(index + 8, input.count)
            while index < end {
                let byte = input[index]
                // Overwritten at once unless it is wanted: cheaper than a branch.
                output[count] = carriageReturn
                count += byte == lineFeed ? 1 : 0
                output[count] = byte
                count += 1
                index += 1
            }
        }
        return count
    }
}

/// Takes out one carriage return that is directly before a line feed: delcr(1). One at the very end
/// stays.
public struct CarriageReturnRemover: ByteFilter {
    /// What was held back comes on top.
    public static let growth = 1
    private var holdsBack = false

    /// A filter at the start of a stream.
    public init() {}

    /// Removes; a carriage return that ends the block is held back.
    public mutating func apply(
        _ input: UnsafeRawBufferPointer, to output: UnsafeMutableRawBufferPointer
    ) -> Int {
        guard let first = input.first else { return 0 }
        var index = 0
        var count = 0
        if holdsBack && first != lineFeed { put(carriageReturn, output, &count) }
        while index < input.count {
            input.copyWords(&index, to: output, &count) { !$0.contains(carriageReturn) }
            let end = min(index + 8, input.count)
            while index < end {
                let byte = input[index]
                index += 1
                let next = index < input.count ? input[index] : lineFeed
                if byte != carriageReturn || next != lineFeed { put(byte, output, &count) }
            }
        }
        holdsBack = input[input.count - 1] == carriageReturn
        return count
    }

    /// A carriage return at the end is no end of a line.
    public mutating func finish(to output: UnsafeMutableRawBufferPointer) -> Int {
        var count = 0
        if holdsBack { put(carriageReturn, output, &count) }
        holdsBack = false
        return count
    }

    private func put(_ byte: UInt8, _ output: UnsafeMutableRawBufferPointer, _ count: inout Int) {
        output[count] = byte
        count += 1
    }
}

/// Puts a carriage return before every line feed that has none: what fixcrio(1) does to each
/// direction.
public struct CarriageReturnFixer: ByteFilter {
    /// A line feed becomes two bytes.
    public static let growth = 2
    private var followsReturn = false

    /// A filter at the start of a stream.
    public init() {}

    /// Inserts; nothing is held back.
    public mutating func apply(
        _ input: UnsafeRawBufferPointer, to output: UnsafeMutableRawBufferPointer
    ) -> Int {
        var index = 0
        var count = 0
        while index < input.count {
            let start = index
            input.copyWords(&index, to: output, &count) { !$0.contains(lineFeed) }
            if index > start { followsReturn = input[index - 1] == carriageReturn }
            let end = min(index + 8, input.count)
            while index < end {
                let byte = input[index]
                output[count] = carriageReturn
                count += byte == lineFeed && !followsReturn ? 1 : 0
                output[count] = byte
                count += 1
                index += 1
                followsReturn = byte == carriageReturn
            }
        }
        return count
    }
}
