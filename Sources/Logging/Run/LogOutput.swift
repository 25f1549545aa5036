import Bytes
import Linux

/// What goes to one log directory, gathered into large writes. Files are cut just where the original
/// cuts them, so that the same lines make the same archives: it decides by chunks of its 512-byte
/// buffer, and the bounds of those chunks are kept here although nothing is written at them.
struct LogOutput: ~Copyable {
    /// The buffer of the original, whose bounds decide where a file may end.
    static let chunkSize = 512
    /// What is written while more input is there ends where such a block of the file does, which the
    /// page cache takes with less work.
    static let blockSize = 64 * 1024
    /// Enough for what waits for such an end and the stamped lines of some blocks of input.
    static let capacity = 512 * 1024
    /// What it does with where memory is scarce: the head of a line, an open chunk, and some more.
    static let leastCapacity = 4096

    /// Whether the line being read goes here.
    var isSelected = true

    private var directory: LogDirectory
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

    /// How many bytes the directory did not take; see `LogDirectory.lostBytes`.
    var lostBytes: Int? { directory.lostBytes }

    /// Writes to `directory`, whose files follow `rule`, from `block`.
    init(_ directory: consuming LogDirectory, _ rule: SizeRule, _ block: consuming ByteBlock) {
        bytes = directory.initialBytes
        self.directory = directory
        self.rule = rule
        memory = block.start
        capacity = block.bytes.count
        self.block = block
    }

    /// Adds the head of a line, at most 1000 bytes, which the original keeps together.
    @inline(__always)
    mutating func addHead(_ head: UnsafeRawBufferPointer) {
        if head.count > LogOutput.chunkSize - (end - chunkStart) { endChunk() }
        append(head)
        if head.count > LogOutput.chunkSize { endChunk() }
    }

    /// Adds the rest of a long line, which the original copies byte by byte.
    mutating func addRest(_ rest: UnsafeRawBufferPointer) {
        var rest = rest
        while !rest.isEmpty {
            if end - chunkStart == LogOutput.chunkSize { endChunk() }
            let count = min(rest.count, LogOutput.chunkSize - (end - chunkStart))
            append(UnsafeRawBufferPointer(rebasing: rest[..<count]))
            rest = UnsafeRawBufferPointer(rebasing: rest[count...])
        }
    }

    /// Ends a line.
    @inline(__always)
    mutating func addNewline() {
        if end - chunkStart == LogOutput.chunkSize { endChunk() }
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
        let fillable = bytes & ~(LogOutput.blockSize - 1)
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
