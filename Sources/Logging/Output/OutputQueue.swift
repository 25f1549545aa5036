import Bytes
import Linux

/// What goes to a descriptor of the container, which others may not read for a while. Whoever adds lines waits a moment
/// at most: when the queue is full and nothing has been taken for that long, the oldest lines are dropped, whole.
struct OutputQueue: ~Copyable {
    /// How many bytes wait at most.
    private static let capacity = 1 << 20
    /// How much is on its way; whole lines where they fit.
    private static let transitSize = 64 * 1024
    /// For how many milliseconds a full queue waits.
    private static let patience: UInt64 = 200
    /// What a pipe takes in one piece or not at all, PIPE_BUF.
    private static let atomicSize = 4096

    private let descriptor: Int32
    /// Whether writing never waits; else the kernel is asked before, and takes no more than it has room for.
    private let neverWaits: Bool
    private var queue: StallQueue
    private let transit: ByteBlock
    private var waiting = 0..<0
    private var lastProgress = Instant.now
    private var isStalled = false
    /// Whether there is nobody any more who could read it.
    private var isGone = false
    /// When a full disk is tried again.
    private var pauseEnd: Instant?
    private let report: (StallQueue.Loss) -> [UInt8]

    /// A queue before `descriptor`, which stays the caller's. `report` makes the line that says what is missing, at most
    /// 256 bytes.
    init(_ descriptor: Int32, report: @escaping (StallQueue.Loss) -> [UInt8]) throws(SystemError) {
        let queue = try StallQueue(capacity: OutputQueue.capacity)
        let transit = try ByteBlock(
            count: OutputQueue.transitSize, orAtLeast: OutputQueue.transitSize)
        self.queue = queue
        self.transit = transit
        let reopened = reopenWithoutWaiting(descriptor)
        self.descriptor = reopened ?? descriptor
        neverWaits = reopened != nil
        self.report = report
    }

    /// Whether nothing waits.
    var isEmpty: Bool {
        isGone || waiting.isEmpty && queue.count == 0 && queue.unreported.bytes == 0
    }

    /// What to wait for, for `pauseLeft` at most.
    var awaited: Awaited { Awaited(isEmpty || pauseLeft != nil ? -1 : descriptor, .write) }

    /// How many milliseconds a full disk is left alone; nil where there is none.
    var pauseLeft: Int32? {
        guard let left = pauseEnd?.millisecondsLeft, left > 0, !isEmpty else { return nil }
        return left
    }

    /// Adds whole lines.
    mutating func add(_ lines: [UInt8]) {
        if isGone { return }
        if isEmpty { lastProgress = .now }
        while queue.room < lines.count && !isStalled && !isGone {
            var waited = [awaited]
            do throws(SystemError) {
                try poll(&waited, milliseconds: Int32(OutputQueue.patience))
            } catch { break }
            if waited[0].isReady { writeSome() }
            if hasWaited(OutputQueue.patience) { isStalled = true }
        }
        lines.withUnsafeBytes { queue.add($0) }
    }

    /// Writes what the descriptor takes now.
    mutating func writeSome() {
        if waiting.isEmpty {
            let report = report
            waiting = 0..<queue.take(into: transit.bytes, isLast: true) { report($0) }
        }
        if waiting.isEmpty { return }
        let size = neverWaits ? waiting.count : min(waiting.count, OutputQueue.atomicSize)
        do throws(SystemError) {
            let piece = transit[waiting.lowerBound..<(waiting.lowerBound + size)]
            let count = try writeNow(descriptor, piece)
            waiting = (waiting.lowerBound + count)..<waiting.upperBound
            lastProgress = .now
            isStalled = false
            pauseEnd = nil
        } catch {
            if error.errno == .again { return }
            if error.errno == .noSpace {
                pauseEnd = Instant.now.advanced(milliseconds: 1000)
                return
            }
            // A pipe without readers stays one.
            isGone = true
            waiting = 0..<0
            queue.dropAll(UnsafeRawBufferPointer(start: nil, count: 0))
        }
    }

    /// Whether nothing has been taken for so many milliseconds.
    func hasWaited(_ milliseconds: UInt64) -> Bool {
        lastProgress.advanced(milliseconds: milliseconds) <= .now
    }

    /// Starts to count the time in which nothing is taken.
    mutating func beginFarewell() { lastProgress = .now }
}
