import Bytes
import Linux

/// Lines that wait for a log that does not keep up, in a fixed amount of memory. When it is full the
/// oldest lines go, whole, and are counted; what is taken out says how many went just where they are
/// missing.
struct StallQueue: ~Copyable {
    /// What has been dropped.
    struct Loss: Equatable, Sendable {
        /// Lines, those included of which a part was taken out before.
        var lines = 0
        /// Bytes of them.
        var bytes = 0
    }

    /// The least capacity in bytes, some blocks of input.
    static let leastCapacity = 256 * 1024

    private static let newline = UInt8(ascii: "\n")

    /// Everything dropped so far.
    private(set) var loss = Loss()
    /// Of it, what no report that was taken out tells of.
    private(set) var unreported = Loss()
    /// How many bytes wait.
    private(set) var count = 0

    /// How many bytes can be added before something is dropped.
    var room: Int { memory.count - count }

    private let block: ByteBlock
    private var memory: UnsafeMutableRawBufferPointer { block.bytes }
    private var start = 0
    /// Whether what was taken out last ends within a line.
    private var isCutOut = false
    /// Whether a line of which a part is out has been dropped, so that it wants an end.
    private var owesNewline = false
    /// Whether the line coming in is dropped until its end.
    private var isSkipping = false

    /// A queue of `capacity` bytes, which are used as they are needed.
    init(capacity: Int) throws(SystemError) {
        let size = max(capacity, StallQueue.leastCapacity)
        block = try ByteBlock(count: size, orAtLeast: size)
    }

    /// Adds bytes, a part of a line or several, of at most the capacity.
    mutating func add(_ bytes: UnsafeRawBufferPointer) {
        var rest = remaining(bytes)
        while room < rest.count {
            dropOldest()
            rest = remaining(rest)
        }
        let end = (start + count) % memory.count
        let first = min(rest.count, memory.count - end)
        UnsafeMutableRawBufferPointer(rebasing: memory[end...])
            .copyMemory(from: UnsafeRawBufferPointer(rebasing: rest[..<first]))
        memory.copyMemory(from: UnsafeRawBufferPointer(rebasing: rest[first...]))
        count += rest.count
    }

    /// Drops everything, and `rest`, which had been taken out before.
    mutating func dropAll(_ rest: UnsafeRawBufferPointer) {
        lose(lines: rest.count { $0 == StallQueue.newline }, bytes: rest.count)
        while count > 0 { dropOldest() }
    }

    /// Moves bytes to `target`, whole lines where that is possible, after a report of what is missing
    /// before them. `report` makes that line, at most 256 bytes with its newline. A line that is not
    /// complete stays until there is more of it than `target` takes, or until `isLast`. Returns how
    /// many bytes there are now.
    mutating func take(
        into target: UnsafeMutableRawBufferPointer, isLast: Bool, report: (Loss) -> [UInt8]
    ) -> Int {
        var filled = 0
        if unreported.bytes > 0 {
            let line = (owesNewline ? [StallQueue.newline] : []) + report(unreported)
            target.copyBytes(from: line)
            filled = line.count
            unreported = Loss()
            owesNewline = false
        }
        let copied = min(target.count - filled, count)
        let fresh = target[filled..<(filled + copied)]
        let (first, second) = segments(of: copied)
        UnsafeMutableRawBufferPointer(rebasing: fresh[..<(filled + first.count)]).copyMemory(
            from: first)
        UnsafeMutableRawBufferPointer(rebasing: fresh[(filled + first.count)...]).copyMemory(
            from: second)
        var taken = 0
        if let last = fresh.lastIndex(of: StallQueue.newline) {
            taken = last + 1 - filled
            isCutOut = false
        } else if copied > 0 && (isLast || copied == target.count - filled) {
            taken = copied
            isCutOut = true
        }
        remove(taken)
        return filled + taken
    }

    /// What is left of `bytes` when a line that is being dropped goes on in them.
    private mutating func remaining(_ bytes: UnsafeRawBufferPointer) -> UnsafeRawBufferPointer {
        guard isSkipping else { return bytes }
        let length = offset(of: StallQueue.newline, in: bytes)
        if length != nil { isSkipping = false }
        let skipped = length.map { $0 + 1 } ?? bytes.count
        lose(lines: 0, bytes: skipped)
        return UnsafeRawBufferPointer(rebasing: bytes[skipped...])
    }

    /// Drops the first line; if it is not complete, what is still to come of it too.
    private mutating func dropOldest() {
        let (first, second) = segments(of: count)
        let newline =
            offset(of: StallQueue.newline, in: first)
            ?? offset(of: StallQueue.newline, in: second).map { $0 + first.count }
        isSkipping = newline == nil
        owesNewline = owesNewline || isCutOut
        isCutOut = false
        let length = newline.map { $0 + 1 } ?? count
        lose(lines: 1, bytes: length)
        remove(length)
    }

    private mutating func lose(lines: Int, bytes: Int) {
        loss.lines += lines
        loss.bytes += bytes
        unreported.lines += lines
        unreported.bytes += bytes
    }

    private mutating func remove(_ length: Int) {
        start = (start + length) % memory.count
        count -= length
    }

    /// Where the first `length` bytes are: up to the end of memory, and from its start.
    private func segments(of length: Int) -> (UnsafeRawBufferPointer, UnsafeRawBufferPointer) {
        let first = min(length, memory.count - start)
        return (
            UnsafeRawBufferPointer(rebasing: memory[start..<(start + first)]),
            UnsafeRawBufferPointer(rebasing: memory[..<(length - first)])
        )
    }
}
