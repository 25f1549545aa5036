import Bytes
import Linux

/// Where lines of a log go: a file `current` that becomes an archived one.
protocol LogPlace: ~Copyable {
    /// The length of `current` when it was opened, in bytes.
    var initialBytes: Int { get }
    /// How many bytes could not be written before the program had to end; nil as long as all were.
    var lostBytes: Int? { get }
    /// Writes all of `bytes` to `current`.
    mutating func write(_ bytes: UnsafeRawBufferPointer)
    /// Archives `current` and starts a new one.
    mutating func rotate()
    /// Brings `current` safely to disk and says so in its permissions, for the next start.
    mutating func end()
}

/// What goes to one log directory, gathered into large writes. Files are cut just where the original
/// cuts them, so that the same lines make the same archives: it decides by chunks of its buffer, and
/// the bounds of those chunks are kept here although nothing is written at them.
struct LogOutput<Place: LogPlace & ~Copyable>: ~Copyable {
    /// What is written while more input is there ends where such a block of the file does, which the
    /// page cache takes with less work.
    static var blockSize: Int { 64 * 1024 }
    /// Enough for what waits for such an end and the stamped lines of some blocks of input.
    static var capacity: Int { 512 * 1024 }
    /// What it does with where memory is scarce: the head of a line, an open chunk, and some more.
    static var leastCapacity: Int { 4096 }

    /// Whether the line being read goes here.
    var isSelected = true

    /// Where it goes.
    var directory: Place
    /// The buffer of the original, whose bounds decide where a file may end.
    private let chunkSize: Int
    private let rule: SizeRule
    /// Length of `current` with the chunks that wait in memory, without the open one.
    private var bytes: Int
    private let block: ByteBlock
    /// Where `block` starts, and its size.
    private let memory: UnsafeMutableRawPointer
    private let capacity: Int
    /// From here to `end` is what has not been written; from `chunkStart` the open chunk.
    private var start = 0
    private var chunkStart = 0
    private var end = 0

    /// How many bytes the directory did not take.
    var lostBytes: Int? { directory.lostBytes }

    /// Writes to `directory`, whose files follow `rule`, from `block`, which has room for three chunks.
    init(
        _ directory: consuming Place, _ rule: SizeRule, chunkSize: Int, _ block: consuming ByteBlock
    ) {
        bytes = directory.initialBytes
        self.chunkSize = chunkSize
        self.directory = directory
        self.rule = rule
        memory = block.start
        capacity = block.bytes.count
        self.block = block
    }

    /// Adds the head of a line, or what goes before it, which the original keeps together.
    @inline(__always)
    mutating func addHead(_ head: UnsafeRawBufferPointer) {
        if head.count > chunkSize - (end - chunkStart) { endChunk() }
        append(head)
        if head.count > chunkSize { endChunk() }
    }

    /// Adds the rest of a long line, which the original copies byte by byte.
    mutating func addRest(_ rest: UnsafeRawBufferPointer) {
        var rest = rest
        while !rest.isEmpty {
            if end - chunkStart == chunkSize { endChunk() }
            let count = min(rest.count, chunkSize - (end - chunkStart))
            append(UnsafeRawBufferPointer(rebasing: rest[..<count]))
            rest = UnsafeRawBufferPointer(rebasing: rest[count...])
        }
    }

    /// Ends a line.
    @inline(__always)
    mutating func addNewline() {
        if end - chunkStart == chunkSize { endChunk() }
        if end == capacity { makeRoom() }
        memory.storeBytes(of: UInt8(ascii: "\n"), toByteOffset: end, as: UInt8.self)
        end += 1
    }

    /// Ends the open chunk: here the original would write, and may find that the file is full.
    @inline(__always)
    mutating func endChunk() {
        if rule.isFar(bytes, adding: end - chunkStart) {
            bytes += end - chunkStart
            chunkStart = end
        } else {
            distribute()
        }
    }

    /// Writes everything to the directory.
    mutating func flush() {
        endChunk()
        write(chunkStart - start)
    }

    /// Writes what fills blocks of the file.
    mutating func writeBlocks() {
        let written = bytes - (chunkStart - start)
        let fillable = bytes & ~(LogOutput<Place>.blockSize - 1)
        if fillable > written { write(fillable - written) }
    }

    /// Starts a new file if there is anything in this one. Everything has been flushed.
    mutating func rotateIfUsed() {
        if bytes > 0 { rotate() }
    }

    /// Writes everything and brings it safely to disk.
    mutating func finish() {
        flush()
        directory.end()
    }

    /// Divides the open chunk between this file and the next ones.
    private mutating func distribute() {
        while chunkStart < end {
            if rule.isFull(bytes) { rotate() }
            let chunk = UnsafeRawBufferPointer(start: memory + chunkStart, count: end - chunkStart)
            let count = rule.accepted(of: chunk, after: bytes)
            bytes += count
            chunkStart += count
            if rule.isComplete(bytes, endingWith: chunk[count - 1]) { rotate() }
        }
    }

    private mutating func rotate() {
        write(chunkStart - start)
        directory.rotate()
        bytes = 0
    }

    @inline(__always)
    private mutating func append(_ more: UnsafeRawBufferPointer) {
        guard let base = more.baseAddress else { return }
        if end + more.count > capacity { makeRoom() }
        copyBytes(from: base, to: memory + end, count: more.count)
        end += more.count
    }

    private mutating func makeRoom() {
        writeBlocks()
        if end - start > capacity / 2 { write(chunkStart - start) }
        memory.copyMemory(from: memory + start, byteCount: end - start)
        chunkStart -= start
        end -= start
        start = 0
    }

    private mutating func write(_ count: Int) {
        directory.write(UnsafeRawBufferPointer(start: memory + start, count: count))
        start += count
        if start == end {
            start = 0
            chunkStart = 0
            end = 0
        }
    }
}
