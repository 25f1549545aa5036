import Bytes
import Formats
import Linux

/// The lines by which recordio(1) shows what passes: process id, direction, then a line of the data and
/// a space, or a piece of one and a plus. Longer than 256 bytes no piece is.
public struct RecordedLines {
    /// Which way the data goes, as it stands in the line.
    public enum Direction: UInt8 {
        /// To the program.
        case input = 0x3c
        /// From the program.
        case output = 0x3e
    }

    private static let pieceLimit = 256
    private static let lineFeed = UInt8(ascii: "\n")
    /// Up to this length a pipe takes what is written in one piece, PIPE_BUF.
    private static let writeLimit = 4096

    private let prefix: [UInt8]
    private var text: [UInt8] = []

    /// Lines about the process `pid`.
    public init(pid: ProcessID, _ direction: Direction) {
        var prefix: [UInt8] = []
        appendDecimal(pid, to: &prefix)
        let space = UInt8(ascii: " ")
        self.prefix = prefix + [space, direction.rawValue, space]
        text.reserveCapacity(RecordedLines.writeLimit)
    }

    /// Hands the lines for `bytes` to `emit`, as many as may be written at once each time.
    public mutating func record(_ bytes: UnsafeRawBufferPointer, emit: ([UInt8]) -> Void) {
        var rest = bytes
        while !rest.isEmpty {
            let piece = UnsafeRawBufferPointer(rebasing: rest.prefix(RecordedLines.pieceLimit))
            recordPiece(piece, emit)
            rest = UnsafeRawBufferPointer(rebasing: rest[piece.count...])
        }
        flush(emit)
    }

    /// The line that tells of the end.
    public var endOfFile: [UInt8] { prefix + Array("[EOF]\n") }

    private mutating func recordPiece(
        _ piece: UnsafeRawBufferPointer, _ emit: ([UInt8]) -> Void
    ) {
        var rest = piece
        while !rest.isEmpty {
            let end = offset(of: RecordedLines.lineFeed, in: rest)
            let line = UnsafeRawBufferPointer(rebasing: rest[..<(end ?? rest.count)])
            if text.count + prefix.count + line.count + 2 > RecordedLines.writeLimit {
                flush(emit)
            }
            text.append(contentsOf: prefix)
            text.append(contentsOf: line)
            text.append(end == nil ? UInt8(ascii: "+") : UInt8(ascii: " "))
            text.append(RecordedLines.lineFeed)
            rest = UnsafeRawBufferPointer(rebasing: rest[(end.map { $0 + 1 } ?? rest.count)...])
        }
    }

    private mutating func flush(_ emit: ([UInt8]) -> Void) {
        if text.isEmpty { return }
        emit(text)
        text.removeAll(keepingCapacity: true)
    }
}

/// Passes everything on unchanged and shows it in lines on standard error.
public struct Recorder: ByteFilter {
    /// What goes in comes out.
    public static let growth = 1
    private var lines: RecordedLines

    /// Shows `lines`.
    public init(_ lines: RecordedLines) { self.lines = lines }

    /// Shows the block before it is passed on.
    public mutating func apply(
        _ input: UnsafeRawBufferPointer, to output: UnsafeMutableRawBufferPointer
    ) -> Int {
        lines.record(input) { Recorder.show($0) }
        output.copyMemory(from: input)
        return input.count
    }

    /// Shows the end.
    public mutating func finish(to output: UnsafeMutableRawBufferPointer) -> Int {
        Recorder.show(lines.endOfFile)
        return 0
    }

    private static func show(_ text: [UInt8]) {
        // A record that cannot be written must not stop what it is about.
        do { try writeAll(Standard.error, text) } catch {}
    }
}
