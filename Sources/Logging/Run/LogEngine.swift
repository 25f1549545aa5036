import Bytes
import Commands
import Formats
import Linux

/// Runs the script over lines as they come in, in blocks of any size. Only the head of a line, its
/// first 1000 bytes with the stamp, is looked at; the rest streams to where the head went, so that
/// memory does not depend on the length of lines.
public final class LogEngine {
    /// How much to read at once, at most.
    public static let blockSize = 64 * 1024

    /// How much of a line patterns, `e` and `=` see.
    private static let headSize = 1000
    /// How much of it `e` shows.
    private static let shownSize = 200
    /// `@`, 24 digits and a space.
    private static let stampSize = TAI64N.textCount + 1
    /// How much the original reads at once; before each time it writes what it has.
    private static let originalReadSize = 1024
    /// How much it writes at once.
    private static let originalWriteSize = 512
    /// What is in memory, in this order: the stamp, a line to show, room for the head of a line that
    /// began in the last block, and to the end the block.
    private static let shownStart = stampSize
    private static let blockStart = shownStart + shownSize + 4 + originalReadSize
    /// The least size of a block, where memory is scarce.
    private static let leastBlockSize = 4096

    private static let newline = UInt8(ascii: "\n")

    private let script: LogScript
    /// Whether all a script does is write every line to every directory.
    private let writesEverything: Bool
    private let retry: Retry
    private let now: () -> TAI64N
    private let allocation: ByteBlock
    private let memory: UnsafeMutableRawPointer
    private let ownBlockSize: Int
    private var outputs: FixedArray<LogOutput<LogTarget>>
    private var statusFiles: FixedArray<StatusFile>
    /// Bytes of an incomplete head, which stand just before the block.
    private var carried = 0
    /// Whether the head of the line has been dealt with and its rest is streaming.
    private var isInRest = false
    /// Where in memory the original would read again.
    private var nextRead = LogEngine.blockStart

    /// Opens the files and directories of `script`; fails if one cannot be used. `now` gives the
    /// time of stamps.
    public init(
        _ script: LogScript, _ processor: Processor, _ retry: Retry,
        now: @escaping () -> TAI64N = LogEngine.currentTime
    ) throws(Failure) {
        self.script = script
        self.retry = retry
        self.now = now
        writesEverything = script.steps.allSatisfy { step in
            if case .write = step { true } else { false }
        }
        allocation = try LogEngine.allocate(
            LogEngine.blockStart + LogEngine.blockSize,
            orAtLeast: LogEngine.blockStart + LogEngine.leastBlockSize)
        memory = allocation.start
        // A whole number of the original's reads, which decide where files end.
        ownBlockSize =
            (allocation.bytes.count - LogEngine.blockStart) / LogEngine.originalReadSize
            * LogEngine.originalReadSize
        outputs = FixedArray(capacity: script.directories.count)
        statusFiles = FixedArray(capacity: script.statusFiles.count)
        for path in script.statusFiles { statusFiles.append(try StatusFile(path, retry)) }
        for settings in script.directories {
            let target = try LogTarget(settings, processor, retry)
            let block = try LogEngine.allocate(
                LogOutput<LogTarget>.capacity,
                orAtLeast: LogOutput<LogTarget>.leastCapacity)
            outputs.append(
                LogOutput(
                    target, SizeRule(size: settings.isOutput ? .max / 2 : settings.size),
                    chunkSize: LogEngine.originalWriteSize, block))
        }
    }

    private static func allocate(_ count: Int, orAtLeast minimum: Int) throws(Failure)
        -> ByteBlock
    {
        try require("unable to get room for lines") { () throws(SystemError) in
            try ByteBlock(count: count, orAtLeast: minimum)
        }
    }

    /// The time as a label.
    public static func currentTime() -> TAI64N {
        let time = wallClock()
        return TAI64N(unixSeconds: time.seconds, nanoseconds: time.nanoseconds)
    }

    /// Where to put the next block of input.
    public var block: UnsafeMutableRawBufferPointer {
        UnsafeMutableRawBufferPointer(
            start: memory + LogEngine.blockStart, count: ownBlockSize)
    }

    /// Deals with the first `count` bytes of `block`. What comes of it is written by `writeBlocks` or
    /// `flush`, or when it becomes too much.
    public func consume(_ count: Int) {
        let end = LogEngine.blockStart + count
        var position = LogEngine.blockStart
        nextRead = position
        if script.stampsLines { prepareStamp() }
        while position < end {
            position = isInRest ? consumeRest(position, end) : consumeHead(position, end)
        }
        endChunks()
    }

    /// Writes everything, before the input is waited for.
    public func flush() {
        for index in 0..<outputs.count { outputs.elements[index].flush() }
    }

    /// Writes what makes whole blocks of a file, while there is more input.
    public func writeBlocks() {
        for index in 0..<outputs.count { outputs.elements[index].writeBlocks() }
    }

    /// Writes everything, and starts a new file in every directory whose file has anything.
    public func rotate() {
        flush()
        for index in 0..<outputs.count { outputs.elements[index].rotateIfUsed() }
    }

    /// How many bytes were read that some directory did not take before multilog had to end; nil when
    /// all is safely on disk. It has been said.
    public private(set) var lostBytes: Int?

    /// Ends the last line if nobody did, and brings all files safely to disk.
    public func finish() {
        if carried > 0 { run(on: LogEngine.blockStart - carried, LogEngine.blockStart) }
        if carried > 0 || isInRest { endLine() }
        flush()
        for index in 0..<outputs.count {
            outputs.elements[index].finish()
            guard let lost = outputs.elements[index].lostBytes else { continue }
            lostBytes = (lostBytes ?? 0) + lost
            let settings = script.directories[index]
            let path = settings.isOutput ? "standard output" : settings.path
            retry.messages.warning("\(lost) bytes are lost that could not be written to \(path)")
        }
    }

    /// The bytes from `position` to the end of the line, of its head or of the block. Returns where
    /// to go on.
    private func consumeHead(_ position: Int, _ end: Int) -> Int {
        var start = position - carried
        if carried == 0 && script.stampsLines {
            // What stood before the line has been copied already, so the stamp may stand there.
            start -= LogEngine.stampSize
            copyBytes(
                from: memory, to: memory + start,
                count: LogEngine.stampSize)
        }
        let headEnd = min(start + LogEngine.headSize, end)
        if let length = offset(of: LogEngine.newline, in: bytes(position, headEnd)) {
            reach(position + length)
            carried = 0
            run(on: start, position + length)
            endLine()
            return position + length + 1
        }
        if headEnd == start + LogEngine.headSize {
            reach(headEnd - 1)
            carried = 0
            run(on: start, headEnd)
            isInRest = true
        } else {
            carried = end - start
            (memory + LogEngine.blockStart - carried).copyMemory(
                from: memory + start, byteCount: carried)
        }
        return headEnd
    }

    private func consumeRest(_ position: Int, _ end: Int) -> Int {
        let length = offset(of: LogEngine.newline, in: bytes(position, end))
        let lineEnd = length.map { position + $0 } ?? end
        var position = position
        while position < lineEnd {
            reach(position)
            let pieceEnd = min(lineEnd, nextRead)
            for index in 0..<outputs.count where outputs.elements[index].isSelected {
                outputs.elements[index].addRest(bytes(position, pieceEnd))
            }
            position = pieceEnd
        }
        guard length != nil else { return end }
        reach(lineEnd)
        isInRest = false
        endLine()
        return lineEnd + 1
    }

    /// The original reads the byte at `position` now; if it has to fetch it first, chunks end.
    @inline(__always)
    private func reach(_ position: Int) {
        guard position >= nextRead else { return }
        endChunks()
        let offset = (position - LogEngine.blockStart) % LogEngine.originalReadSize
        nextRead = position - offset + LogEngine.originalReadSize
    }

    /// Runs the script on a head and adds it to the directories it goes to.
    @inline(__always)
    private func run(on start: Int, _ end: Int) {
        let head = bytes(start, end)
        if !writesEverything { select(head) }
        for index in 0..<outputs.count where outputs.elements[index].isSelected {
            outputs.elements[index].addHead(head)
        }
    }

    private func select(_ head: UnsafeRawBufferPointer) {
        var isSelected = true
        for step in script.steps {
            switch step {
            case .select(let range):
                if !isSelected && matches(range, head) { isSelected = true }
            case .deselect(let range):
                if isSelected && matches(range, head) { isSelected = false }
            case .show:
                if isSelected { show(head) }
            case .keep(let index):
                if isSelected { statusFiles.elements[index].keep(head) }
            case .write(let index):
                outputs.elements[index].isSelected = isSelected
            }
        }
    }

    private func matches(_ range: Range<Int>, _ head: UnsafeRawBufferPointer) -> Bool {
        script.patterns.withUnsafeBytes {
            Logging.matches(UnsafeRawBufferPointer(rebasing: $0[range]), head)
        }
    }

    private func endLine() {
        for index in 0..<outputs.count where outputs.elements[index].isSelected {
            outputs.elements[index].addNewline()
        }
    }

    private func endChunks() {
        for index in 0..<outputs.count { outputs.elements[index].endChunk() }
    }

    private func prepareStamp() {
        now().writeText(to: memory.assumingMemoryBound(to: UInt8.self))
        memory.storeBytes(of: UInt8(ascii: " "), toByteOffset: TAI64N.textCount, as: UInt8.self)
    }

    /// Writes a line to standard error, shortened. Nobody is left to tell when that fails.
    private func show(_ head: UnsafeRawBufferPointer) {
        let shown = UnsafeMutableRawBufferPointer(
            start: memory + LogEngine.shownStart, count: LogEngine.shownSize + 4)
        var count = min(head.count, LogEngine.shownSize)
        shown.copyMemory(from: UnsafeRawBufferPointer(rebasing: head[..<count]))
        if head.count > count {
            for _ in 0..<3 {
                shown[count] = UInt8(ascii: ".")
                count += 1
            }
        }
        shown[count] = LogEngine.newline
        do throws(SystemError) {
            _ = try write(Standard.error, UnsafeRawBufferPointer(rebasing: shown[...count]))
        } catch {}
    }

    @inline(__always)
    private func bytes(_ start: Int, _ end: Int) -> UnsafeRawBufferPointer {
        UnsafeRawBufferPointer(start: memory + start, count: end - start)
    }
}
