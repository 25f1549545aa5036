import Bytes
import Commands
import Formats
import Linux

/// How svlogd was called.
public struct SvlogdOptions: Sendable {
    /// What lines are stamped with, if anything.
    public var stamp: SvlogdStamp?
    /// How many bytes of a line patterns see; the rest of a longer one streams.
    public var lineLimit = 1000
    /// How many bytes the original would write at once, which decides where files end.
    public var chunkSize = 1024
    /// What bytes that are not printable are replaced by, if by anything.
    public var replacement: UInt8?
    /// Bytes that are replaced too.
    public var replaced: [UInt8] = []
    /// Whether it says what it does.
    public var isVerbose = false
    /// The log directories.
    public var directories: [ByteString] = []

    /// No options.
    public init() {}
}

/// Takes lines as they come in, in blocks of any size, and writes each to every log that selects it.
final class SvlogdEngine {
    private let options: SvlogdOptions
    private let processor: Processor
    private let retry: Retry
    private let voice: SvlogdVoice
    private let input: ByteBlock
    /// The head of a line that began in an earlier block, or is being changed.
    private let head: ByteBlock
    private var headCount = 0
    /// Whether the head of the line has been dealt with and its rest is streaming.
    private var isInRest = false
    private var stamp: [UInt8] = []
    private var isStampOld = true
    private var logs: FixedArray<SvlogdLog?>
    private let replacements: [UInt8]?

    /// Opens the logs; fails when none can be.
    init(
        _ options: SvlogdOptions, _ processor: Processor, _ retry: Retry, _ voice: SvlogdVoice
    ) throws(Failure) {
        self.options = options
        self.processor = processor
        self.retry = retry
        self.voice = voice
        input = try SvlogdEngine.allocate(LogEngine.blockSize)
        head = try SvlogdEngine.allocate(options.lineLimit)
        replacements = options.replacement.map { SvlogdEngine.table($0, options.replaced) }
        logs = FixedArray(capacity: options.directories.count)
        for _ in options.directories { logs.append(nil) }
        try reopen()
    }

    private static func allocate(_ count: Int) throws(Failure) -> ByteBlock {
        try require("out of memory") { () throws(SystemError) in
            try ByteBlock(count: count, orAtLeast: count)
        }
    }

    /// What becomes of each byte.
    private static func table(_ replacement: UInt8, _ others: [UInt8]) -> [UInt8] {
        (UInt8.min...UInt8.max).map { byte in
            (32...126).contains(byte) && !others.contains(byte) ? byte : replacement
        }
    }

    /// Where to put the next block of input.
    var block: UnsafeMutableRawBufferPointer { input.bytes }

    /// Closes the logs and opens them again, as their `config` is by now. A line that is being read goes on in those
    /// that it began in.
    func reopen() throws(Failure) {
        var isAnyOpen = false
        for index in 0..<logs.count {
            let path = options.directories[index]
            let job = logs.elements[index]?.output.directory.job
            let isSelected = logs.elements[index]?.isSelected ?? false
            close(index)
            do throws(Failure) {
                logs.elements[index] = try SvlogdLog(path, job, options, processor, retry, voice)
                logs.elements[index]?.isSelected = isSelected
                isAnyOpen = true
            } catch { voice.messages.warning(error.text, error.errno) }
        }
        if !isAnyOpen { throw Failure("no functional log directories.") }
    }

    private func close(_ index: Int) {
        if logs.elements[index] == nil { return }
        voice.tell("close: \(options.directories[index])")
        logs.elements[index]?.output.finish()
        if let lost = logs.elements[index]?.output.lostBytes { noteLoss(lost, index) }
        logs.elements[index] = nil
    }

    /// How many bytes were read that some log did not take before svlogd had to end; it has been said.
    private(set) var lostBytes: Int?

    private func noteLoss(_ lost: Int, _ index: Int) {
        lostBytes = (lostBytes ?? 0) + lost
        voice.messages.warning(
            "\(lost) bytes are lost that could not be written to \(options.directories[index])")
    }

    /// Writes everything, before the input is waited for.
    func flush() {
        for index in 0..<logs.count { logs.elements[index]?.output.flush() }
    }

    /// Writes what makes whole blocks of a file, while there is more input.
    func writeBlocks() {
        for index in 0..<logs.count { logs.elements[index]?.output.writeBlocks() }
    }

    /// Writes everything, and starts a new file in every log whose file has anything.
    func rotate() {
        flush()
        for index in 0..<logs.count { logs.elements[index]?.output.rotateIfUsed() }
    }

    /// When `tend` is to be called.
    var deadline: Instant? {
        var first: Instant?
        for index in 0..<logs.count {
            guard let due = logs.elements[index]?.deadline else { continue }
            first = min(first ?? due, due)
        }
        return first
    }

    /// Rotates files that are old, and looks after processors. Everything has been flushed.
    func tend() {
        for index in 0..<logs.count { logs.elements[index]?.tend() }
    }

    /// Ends the last line if nobody did, waits for processors, and brings all files safely to disk.
    func finish() {
        if headCount > 0 && !isInRest { deal(head[0..<headCount]) }
        if headCount > 0 || isInRest { endLine() }
        flush()
        for index in 0..<logs.count {
            logs.elements[index]?.output.endProcessor()
            close(index)
        }
    }

    // MARK: - Lines

    /// Deals with the first `count` bytes of `block`.
    func consume(_ count: Int) {
        isStampOld = true
        var position = 0
        while position < count {
            position = isInRest ? takeRest(position, count) : takeHead(position, count)
        }
    }

    private func takeHead(_ position: Int, _ end: Int) -> Int {
        if headCount == 0 { beginLine() }
        let limit = min(end, position + options.lineLimit - headCount)
        let length = offset(of: UInt8(ascii: "\n"), in: input[position..<limit])
        let pieceEnd = length.map { position + $0 } ?? limit
        replace(position..<pieceEnd)
        if length != nil && headCount == 0 {
            deal(input[position..<pieceEnd])
        } else {
            (head.start + headCount).copyMemory(
                from: input.start + position, byteCount: pieceEnd - position)
            headCount += pieceEnd - position
            if length != nil || headCount == options.lineLimit { deal(head[0..<headCount]) }
        }
        if length != nil {
            endLine()
            return pieceEnd + 1
        }
        if headCount == options.lineLimit {
            headCount = 0
            isInRest = true
        }
        return pieceEnd
    }

    private func takeRest(_ position: Int, _ end: Int) -> Int {
        let length = offset(of: UInt8(ascii: "\n"), in: input[position..<end])
        let pieceEnd = length.map { position + $0 } ?? end
        replace(position..<pieceEnd)
        for index in 0..<logs.count where logs.elements[index]?.isSelected == true {
            logs.elements[index]?.output.addRest(input[position..<pieceEnd])
        }
        guard length != nil else { return end }
        endLine()
        return pieceEnd + 1
    }

    private func replace(_ range: Range<Int>) {
        guard let replacements else { return }
        for index in range { input.bytes[index] = replacements[Int(input.bytes[index])] }
    }

    /// Lines that begin in one block began at one time.
    private func beginLine() {
        guard let kind = options.stamp, isStampOld else { return }
        stamp = kind.text(LogEngine.currentTime())
        isStampOld = false
    }

    /// Shows, sends and writes a head, of which an end that is not there yet may stream.
    private func deal(_ line: UnsafeRawBufferPointer) {
        for index in 0..<logs.count {
            guard let (isSelected, isShown) = logs.elements[index]?.settings.judge(line) else {
                continue
            }
            if isShown { show(whole(line, index)) }
            let sends = logs.elements[index]?.settings.target != nil
            if isSelected && sends { logs.elements[index]?.send(whole(line, index)) }
            let isWritten = isSelected && logs.elements[index]?.settings.onlySends != true
            logs.elements[index]?.isSelected = isWritten
            if isWritten { write(line, index) }
        }
    }

    private func write(_ line: UnsafeRawBufferPointer, _ index: Int) {
        stamp.withUnsafeBytes { if !$0.isEmpty { logs.elements[index]?.output.addHead($0) } }
        if let prefix = logs.elements[index]?.settings.prefix, !prefix.isEmpty {
            logs.elements[index]?.add(prefix)
        }
        logs.elements[index]?.output.addHead(line)
    }

    private func endLine() {
        headCount = 0
        isInRest = false
        for index in 0..<logs.count where logs.elements[index]?.isSelected == true {
            logs.elements[index]?.output.addNewline()
            logs.elements[index]?.output.endChunk()
            logs.elements[index]?.isSelected = false
        }
    }

    /// A line as it is shown and sent: shortened if it is longer than what is looked at.
    private func whole(_ line: UnsafeRawBufferPointer, _ index: Int) -> [UInt8] {
        var text = stamp + (logs.elements[index]?.settings.prefix ?? [])
        text.append(contentsOf: line)
        if line.count == options.lineLimit { text.append(contentsOf: "...".utf8) }
        text.append(UInt8(ascii: "\n"))
        return text
    }

    /// Nobody is left to tell when that fails.
    private func show(_ line: [UInt8]) {
        do throws(SystemError) { try writeAll(Standard.error, line) } catch {}
    }
}
