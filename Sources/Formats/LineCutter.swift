import Bytes

/// Cuts what comes in blocks into lines, and keeps what has no end yet.
public struct LineCutter {
    /// A line that is longer becomes several: so much is kept of one at most.
    public static let longest = 64 * 1024

    private static let newline = UInt8(ascii: "\n")
    private var partial: [UInt8] = []

    /// One at the start of a line.
    public init() {}

    /// Whether a line has begun.
    public var isInLine: Bool { !partial.isEmpty }

    /// Calls `body` with each line that ends in `block`, without its newline, or that is as long as it may become.
    public mutating func take(
        _ block: UnsafeRawBufferPointer, _ body: (UnsafeRawBufferPointer) -> Void
    ) {
        var rest = block
        while !rest.isEmpty {
            let room = LineCutter.longest - partial.count
            let length = offset(of: LineCutter.newline, in: rest)
            let isCut = (length ?? rest.count) > room
            let piece = UnsafeRawBufferPointer(
                rebasing: rest.prefix(min(length ?? rest.count, room)))
            rest = UnsafeRawBufferPointer(rebasing: rest[piece.count...])
            if isCut || length != nil {
                emit(piece, body)
                if !isCut { rest = UnsafeRawBufferPointer(rebasing: rest[1...]) }
            } else {
                partial.append(contentsOf: piece)
            }
        }
    }

    /// Calls `body` with the line that nobody ended, if there is one.
    public mutating func end(_ body: (UnsafeRawBufferPointer) -> Void) {
        if isInLine { emit(UnsafeRawBufferPointer(start: nil, count: 0), body) }
    }

    private mutating func emit(
        _ piece: UnsafeRawBufferPointer, _ body: (UnsafeRawBufferPointer) -> Void
    ) {
        if partial.isEmpty { return body(piece) }
        partial.append(contentsOf: piece)
        partial.withUnsafeBytes(body)
        // A long line was an exception: its room is given back.
        partial = []
    }
}
