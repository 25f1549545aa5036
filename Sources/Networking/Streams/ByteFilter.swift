import Bytes

/// A change made to a stream of bytes as it passes, block by block. However the stream is cut into
/// blocks, the same bytes come out.
public protocol ByteFilter {
    /// At most how many bytes come out for one that goes in.
    static var growth: Int { get }

    /// Passes a block on; returns how many bytes it put in `output`, which has room for
    /// `outputRoom(input.count)` of them and is no part of `input`.
    mutating func apply(
        _ input: UnsafeRawBufferPointer, to output: UnsafeMutableRawBufferPointer
    ) -> Int

    /// Ends the stream; returns how many bytes it put in `output`, which has room for
    /// `outputRoom(0)`.
    mutating func finish(to output: UnsafeMutableRawBufferPointer) -> Int
}

extension ByteFilter {
    /// Nothing is held back to the end.
    public mutating func finish(to output: UnsafeMutableRawBufferPointer) -> Int { 0 }

    /// The room needed for what comes out when `count` bytes go in: some for each, and a little for
    /// what was held back or is written a word at a time.
    public static func outputRoom(_ count: Int) -> Int { count * growth + 16 }
}

/// Changes nothing.
public struct Unchanged: ByteFilter {
    /// What goes in comes out.
    public static let growth = 1

    /// A filter that is none.
    public init() {}

    /// Copies.
    public mutating func apply(
        _ input: UnsafeRawBufferPointer, to output: UnsafeMutableRawBufferPointer
    ) -> Int {
        output.copyMemory(from: input)
        return input.count
    }
}

/// One filter after another.
public struct FilterChain<First: ByteFilter, Second: ByteFilter>: ByteFilter {
    private var first: First
    private var second: Second
    private var between: [UInt8] = []

    /// What comes out of `first` goes into `second`.
    public init(_ first: First, _ second: Second) {
        self.first = first
        self.second = second
    }

    /// The two multiplied, and room for what the first holds back.
    public static var growth: Int { (First.growth + 1) * Second.growth }

    /// Both, one after the other.
    public mutating func apply(
        _ input: UnsafeRawBufferPointer, to output: UnsafeMutableRawBufferPointer
    ) -> Int {
        makeRoom(First.outputRoom(input.count))
        return between.withUnsafeMutableBytes { between in
            let count = first.apply(input, to: between)
            return second.apply(UnsafeRawBufferPointer(rebasing: between[..<count]), to: output)
        }
    }

    /// What the first held back goes through the second, which then ends too.
    public mutating func finish(to output: UnsafeMutableRawBufferPointer) -> Int {
        makeRoom(First.outputRoom(0))
        let count = between.withUnsafeMutableBytes { between in
            let count = first.finish(to: between)
            return second.apply(UnsafeRawBufferPointer(rebasing: between[..<count]), to: output)
        }
        return count + second.finish(to: UnsafeMutableRawBufferPointer(rebasing: output[count...]))
    }

    private mutating func makeRoom(_ room: Int) {
        if between.count < room { between = [UInt8](repeating: 0, count: room) }
    }
}

/// Eight bytes looked at together, which makes the filters as fast as the lines are long.
struct Word {
    private static let ones: UInt64 = 0x0101_0101_0101_0101
    private static let highs: UInt64 = 0x8080_8080_8080_8080
    private let bytes: UInt64

    init(_ bytes: UInt64) { self.bytes = bytes }

    /// Whether one of the bytes is `byte`.
    @inline(__always)
    func contains(_ byte: UInt8) -> Bool {
        let difference = bytes ^ (Word.ones &* UInt64(byte))
        return (difference &- Word.ones) & ~difference & Word.highs != 0
    }

    /// Whether every byte is 32 to 126.
    @inline(__always)
    var isPrintable: Bool {
        let isControl = (bytes &- Word.ones &* 32) & ~bytes
        let isDelete = bytes &+ Word.ones
        return (bytes | isControl | isDelete) & Word.highs == 0
    }
}

extension UnsafeRawBufferPointer {
    /// Copies whole words from `index` on to `output` at `count` as long as all of them are `plain`,
    /// and moves both past them.
    @inline(__always)
    func copyWords(
        _ index: inout Int, to output: UnsafeMutableRawBufferPointer, _ count: inout Int,
        while plain: (Word) -> Bool
    ) {
        while index + 8 <= self.count {
            let bytes = loadUnaligned(fromByteOffset: index, as: UInt64.self)
            if !plain(Word(bytes)) { return }
            output.storeBytes(of: bytes, toByteOffset: count, as: UInt64.self)
            index += 8
            count += 8
        }
    }
}
