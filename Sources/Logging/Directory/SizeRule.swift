import Bytes

/// When a log file is full. It grows by chunks; near its size it ends with the first chunk that can be cut
/// after a newline, and where there is none it is cut at its size.
public struct SizeRule: Sendable {
    /// From how many bytes before its size on a file looks for a line to end with; for multilog.
    public static let usualMargin = 2000

    /// The greatest size of a file in bytes.
    public let size: Int

    /// From how many bytes before its size on a file looks for a line to end with; negative for never.
    let margin: Int

    /// The rule for files of `size` bytes.
    public init(size: Int, margin: Int = SizeRule.usualMargin) {
        self.size = size
        self.margin = margin
    }

    /// Whether a file of `bytes` bytes takes no more.
    public func isFull(_ bytes: Int) -> Bool { bytes >= size }

    /// Whether a chunk of `count` bytes does not bring a file of `bytes` bytes to where it may end.
    @inline(__always)
    public func isFar(_ bytes: Int, adding count: Int) -> Bool {
        bytes + count < size - margin
    }

    /// How much of `chunk` a file of `bytes` bytes, which is not full, takes.
    public func accepted(of chunk: UnsafeRawBufferPointer, after bytes: Int) -> Int {
        let fitting = min(chunk.count, size - bytes)
        if isFar(bytes, adding: fitting) { return fitting }
        let newline = chunk[..<fitting].lastIndex(of: UInt8(ascii: "\n"))
        return newline.map { $0 + 1 } ?? fitting
    }

    /// Whether a file of `bytes` bytes, of which `last` is the last, has come to a good end.
    public func isComplete(_ bytes: Int, endingWith last: UInt8) -> Bool {
        !isFar(bytes, adding: 0) && last == UInt8(ascii: "\n")
    }
}
