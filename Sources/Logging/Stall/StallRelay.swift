import Bytes
import Commands
import Formats
import Linux

/// Stands between the input and a process that writes the log, so that a disk that is full or does
/// not answer stops only that process. Lines wait for it in a bounded queue. When that is full and the
/// writer has taken nothing for a moment, it is stalled: then the oldest lines are dropped, and both
/// the log and standard error are told how many. Lines are stamped here, with the time they came.
struct StallRelay: ~Copyable {
    /// The signals that it takes, to be blocked by the caller.
    static let signals = LogReader.signals

    /// How much is on its way to the writer; whole lines where they fit.
    private static let transitSize = 64 * 1024
    /// How many milliseconds a full queue waits for the writer.
    private static let patience: UInt64 = 200
    /// How many milliseconds a writer that does nothing is waited for when SIGTERM has ended the input:
    /// nobody reads it meanwhile.
    private static let farewell: UInt64 = 5000
    /// A read is at least this long; it may bring this many empty lines, each with a stamp.
    private static let leastRead = 4096
    private static let greatestGrowth = TAI64N.textCount + 2
    /// How often standard error is told at most.
    private static let reportInterval: UInt64 = 5000

    private let writer: ProcessID
    private let messages: Messages
    private let stampsLines: Bool
    private let pending: SignalDescriptor
    private let pipe: Descriptor
    private var input: LogInput
    private var awaited: [Awaited] = []
    private var queue: StallQueue
    private let block: ByteBlock
    private let transit: ByteBlock
    /// What part of `transit` is still to be written.
    private var waiting = 0..<0
    private var isAtLineStart = true
    private var reported = StallQueue.Loss()
    private var nextReport = Instant.now
    private var lastProgress = Instant.now
    private var isStalled = false
    private var isTold = false

    /// Relays standard input to the process `writer`, which reads the other end of `pipe`.
    init(
        to writer: ProcessID, through pipe: consuming Descriptor, capacity: Int, stampsLines: Bool,
        _ messages: Messages
    ) throws(SystemError) {
        // The writer's end is learnt from write(2).
        try setDisposition(.pipe, ignored: true)
        try setNonBlocking(pipe.number, true)
        let pending = try SignalDescriptor(StallRelay.signals)
        let queue = try StallQueue(capacity: capacity)
        let block = try ByteBlock(count: LogEngine.blockSize, orAtLeast: LogEngine.blockSize)
        let transit = try ByteBlock(
            count: StallRelay.transitSize, orAtLeast: StallRelay.transitSize)
        self.pending = pending
        self.queue = queue
        self.block = block
        self.transit = transit
        self.writer = writer
        self.pipe = pipe
        self.messages = messages
        self.stampsLines = stampsLines
        input = LogInput(Standard.input)
    }

    /// Relays to the end of the input and until the queue is empty. Throws EPIPE when the writer is
    /// gone, and ETIMEDOUT when SIGTERM ended the input and the writer is stalled.
    mutating func run() throws(SystemError) {
        while true {
            let timeLeft = timeLeft()
            fill()
            if input.hasEnded && waiting.isEmpty { break }
            let isReading = !input.hasEnded && (isStalled || hasRoom)
            awaited = [
                Awaited(pending.descriptor.number),
                Awaited(isReading ? input.descriptor : -1),
                Awaited(pipe.number, waiting.isEmpty ? [] : .write),
            ]
            let waitsForWriter = !input.hasEnded && !isReading
            let isLeaving = input.hasEnded && isTold
            if isLeaving && hasWaited(StallRelay.farewell) { try giveUp() }
            try poll(
                &awaited,
                milliseconds: waitsForWriter || isLeaving ? Int32(StallRelay.patience) : timeLeft)
            if awaited[0].isReady { try takeSignals() }
            if awaited[1].isReady && !input.hasEnded { readBlock() }
            if awaited[2].isReady { try writeSome() }
            if waitsForWriter && hasWaited(StallRelay.patience) { isStalled = true }
            if Instant.now >= nextReport { report() }
        }
        report()
    }

    /// How long the input is waited for. A line that nobody ends is the last thing that comes of it.
    private mutating func timeLeft() -> Int32? {
        let hadEnded = input.hasEnded
        let timeLeft = input.timeLeft()
        if input.hasEnded && !hadEnded { lastProgress = .now }
        return timeLeft
    }

    private var hasRoom: Bool {
        queue.room >= StallRelay.leastRead * StallRelay.greatestGrowth
    }

    /// Whether the writer has taken nothing for so many milliseconds.
    private func hasWaited(_ milliseconds: UInt64) -> Bool {
        lastProgress.advanced(milliseconds: milliseconds) <= .now
    }

    /// Ends the writer, and says what it has not taken.
    private mutating func giveUp() throws(SystemError) {
        try send(.kill, to: writer)
        queue.dropAll(transit[waiting])
        report()
        throw SystemError("write", .timedOut)
    }

    private mutating func takeSignals() throws(SystemError) {
        while let signal = try pending.next() {
            if signal == .alarm {
                try send(signal, to: writer)
            } else {
                input.endSoon()
                if !isTold { lastProgress = .now }
                isTold = true
            }
        }
    }

    private mutating func readBlock() {
        let size = max(StallRelay.leastRead, queue.room / StallRelay.greatestGrowth)
        let count = input.read(
            into: UnsafeMutableRawBufferPointer(
                rebasing: block.bytes[..<min(size, LogEngine.blockSize)]))
        guard stampsLines else {
            return queue.add(block[0..<count])
        }
        let stamp = StallRelay.stamp()
        var rest = block[0..<count]
        while !rest.isEmpty {
            if isAtLineStart { stamp.withUnsafeBytes { queue.add($0) } }
            let newline = offset(of: UInt8(ascii: "\n"), in: rest)
            isAtLineStart = newline != nil
            let length = newline.map { $0 + 1 } ?? rest.count
            queue.add(UnsafeRawBufferPointer(rebasing: rest[..<length]))
            rest = UnsafeRawBufferPointer(rebasing: rest[length...])
        }
    }

    private mutating func fill() {
        guard waiting.isEmpty else { return }
        let stampsLines = stampsLines
        let program = messages.program
        let count = queue.take(into: transit.bytes, isLast: input.hasEnded) { loss in
            (stampsLines ? StallRelay.stamp() : [])
                + ByteString("\(program): warning: \(StallRelay.text(loss))\n").bytes
        }
        waiting = 0..<count
    }

    private mutating func writeSome() throws(SystemError) {
        // Nothing was waited for but an error, and writing nothing would not tell of it.
        if waiting.isEmpty { throw SystemError("write", .brokenPipe) }
        do throws(SystemError) {
            let count = try pipe.write(transit[waiting])
            waiting = (waiting.lowerBound + count)..<waiting.upperBound
            lastProgress = .now
            isStalled = false
        } catch {
            if error.errno != .again { throw error }
        }
    }

    /// Tells standard error of what has been dropped since it was told last.
    private mutating func report() {
        let fresh = StallQueue.Loss(
            lines: queue.loss.lines - reported.lines, bytes: queue.loss.bytes - reported.bytes)
        guard fresh.bytes > 0 else { return }
        messages.warning(StallRelay.text(fresh))
        reported = queue.loss
        nextReport = Instant.now.advanced(milliseconds: StallRelay.reportInterval)
    }

    private static func text(_ loss: StallQueue.Loss) -> ByteString {
        "log does not keep up, dropped \(loss.lines) lines, \(loss.bytes) bytes"
    }

    private static func stamp() -> [UInt8] { LogEngine.currentTime().text + [UInt8(ascii: " ")] }
}
