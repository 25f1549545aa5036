import Bytes
import Formats
import Linux

/// Compiled access rules on disk. The file is read, not mapped: one that shrinks meanwhile must be an
/// error and not a SIGBUS.
struct RulesFile: ~Copyable, CDBSource {
    private let descriptor: Descriptor
    let count: Int
    /// Which file it is, and in what state.
    let status: FileStatus
    /// The start of the file: all of it, as a rule.
    private let window: ByteBlock
    /// A piece beyond the window, and where it begins; made when it is needed.
    private var piece = ByteBlock(count: 0)
    private var pieceRange = 0..<0
    /// How many bytes are read at once beyond the window.
    private var readAhead = RulesFile.lookUpSize

    /// The entry of a table, or a short rule; and what is worth it when all of the file is read.
    private static let (lookUpSize, scanSize) = (256, 16384)
    private static let windowSize = 16384
    /// Longer pieces are none that the kernel would take as an environment variable.
    private static let pieceLimit = 1 << 20

    /// Opens the file and reads its start.
    init(_ path: ByteString) throws(SystemError) {
        let descriptor = try openFile(path, .read)
        let status = try Linux.status(of: descriptor.number)
        guard status.isRegular else { throw SystemError("open", .protocolError, subject: path) }
        let window = ByteBlock(count: min(status.size, RulesFile.windowSize))
        try fill(window.bytes, from: descriptor, at: 0)
        count = status.size
        self.status = status
        self.window = window
        self.descriptor = descriptor
    }

    /// Whether all of it is about to be read, from the start to the end.
    mutating func expectScan(_ isScanned: Bool) {
        readAhead = isScanned ? RulesFile.scanSize : RulesFile.lookUpSize
        piece = ByteBlock(count: 0)
        pieceRange = 0..<0
    }

    mutating func bytes(at position: Int, count: Int) throws(SystemError)
        -> UnsafeRawBufferPointer
    {
        let end = position + count
        if end <= window.bytes.count { return window[position..<end] }
        if position < pieceRange.lowerBound || end > pieceRange.upperBound {
            try readPiece(position, count)
        }
        let start = position - pieceRange.lowerBound
        return piece[start..<(start + count)]
    }

    private mutating func readPiece(_ position: Int, _ count: Int) throws(SystemError) {
        guard count <= RulesFile.pieceLimit else { throw SystemError("pread", .tooLong) }
        let size = min(max(count, readAhead), self.count - position)
        pieceRange = 0..<0
        if piece.bytes.count < size { piece = ByteBlock(count: max(size, readAhead)) }
        try fill(
            UnsafeMutableRawBufferPointer(rebasing: piece.bytes[..<size]), from: descriptor,
            at: position)
        pieceRange = position..<(position + size)
    }
}

private func fill(
    _ buffer: UnsafeMutableRawBufferPointer, from descriptor: borrowing Descriptor, at position: Int
) throws(SystemError) {
    var filled = 0
    while filled < buffer.count {
        let rest = UnsafeMutableRawBufferPointer(rebasing: buffer[filled...])
        let read = try Linux.read(descriptor, at: position + filled, into: rest)
        // It was longer when it was opened.
        if read == 0 { throw SystemError("pread", .protocolError) }
        filled += read
    }
}
