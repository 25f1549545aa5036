import Bytes
import Formats
import Linux

/// Compiled access rules on disk. The file is read, not mapped: one that shrinks meanwhile must be an
/// error and not a SIGBUS.
struct RulesFile: ~Copyable, CDBSource {
    private let descriptor: Descriptor
    let count: Int
    /// The start of the file: all of it, as a rule.
    private let window: ByteBlock
    /// Room for a piece beyond the window, made when it is needed.
    private var piece = ByteBlock(count: 0)

    /// Longer pieces are none that the kernel would take as an environment variable.
    private static let pieceLimit = 1 << 20

    /// Opens the file and reads its start.
    init(_ path: ByteString) throws(SystemError) {
        let descriptor = try openFile(path, .read)
        let status = try Linux.status(of: descriptor.number)
        guard status.isRegular else { throw SystemError("open", .protocolError, subject: path) }
        let window = ByteBlock(count: min(status.size, 16384))
        try fill(window.bytes, from: descriptor, at: 0)
        count = status.size
        self.window = window
        self.descriptor = descriptor
    }

    mutating func bytes(at position: Int, count: Int) throws(SystemError)
        -> UnsafeRawBufferPointer
    {
        if position + count <= window.bytes.count {
            return UnsafeRawBufferPointer(rebasing: window.bytes[position..<(position + count)])
        }
        if piece.bytes.count < count {
            guard count <= RulesFile.pieceLimit else { throw SystemError("pread", .tooLong) }
            piece = ByteBlock(count: max(count, 4096))
        }
        let wanted = UnsafeMutableRawBufferPointer(rebasing: piece.bytes[..<count])
        try fill(wanted, from: descriptor, at: position)
        return UnsafeRawBufferPointer(wanted)
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
