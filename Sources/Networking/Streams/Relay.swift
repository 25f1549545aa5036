import Bytes
import Linux

/// One direction of a relay: what is read from the source, changed by a filter, is written to the target
/// before more is read. It never blocks: it reads and writes when poll(2) says so.
struct RelayedStream<Filter: ByteFilter>: ~Copyable {
    /// What it waits for.
    enum Phase {
        case reading
        case writing
        /// The source is at its end, or one side has failed.
        case ended
    }

    private(set) var phase = Phase.reading
    private let source: Int32
    private let target: Int32
    private let targetIsSocket: Bool
    private var filter: Filter
    private var sourceEnded = false
    private let block = ByteBlock(count: 16384)
    private let output: ByteBlock
    private var unwritten = 0..<0

    init(from source: Int32, to target: Int32, through filter: Filter) {
        self.source = source
        self.target = target
        self.filter = filter
        targetIsSocket = isSocket(target)
        output = ByteBlock(count: Filter.outputRoom(block.bytes.count))
    }

    var awaited: Awaited? {
        switch phase {
        case .reading: Awaited(source)
        case .writing: Awaited(target, .write)
        case .ended: nil
        }
    }

    /// Does what it waited for. A failure ends the stream: it means that one side is gone.
    mutating func advance() {
        do throws(SystemError) {
            switch phase {
            case .reading: try readBlock()
            case .writing: try writeSome()
            case .ended: break
            }
        } catch {
            // Either side may be in non-blocking mode, and somebody else the quicker one.
            if error.errno == .again { return }
            if phase == .reading { endSource() } else { phase = .ended }
        }
    }

    private mutating func readBlock() throws(SystemError) {
        let count = try read(source, into: block.bytes)
        if count == 0 { return endSource() }
        unwritten = 0..<filter.apply(block[0..<count], to: output.bytes)
        phase = unwritten.isEmpty ? .reading : .writing
    }

    private mutating func endSource() {
        sourceEnded = true
        unwritten = 0..<filter.finish(to: output.bytes)
        phase = unwritten.isEmpty ? .ended : .writing
    }

    private mutating func writeSome() throws(SystemError) {
        // A pipe that is ready takes 4096 bytes, PIPE_BUF, without blocking. O_NONBLOCK would be
        // quicker, but is everybody's who has the same pipe open.
        let piece = targetIsSocket ? unwritten : unwritten.prefix(4096)
        let count =
            targetIsSocket
            ? try sendNow(target, output[piece]) : try write(target, output[piece])
        unwritten = unwritten.dropFirst(count)
        if unwritten.isEmpty { phase = sourceEnded ? .ended : .reading }
    }
}

/// Whether `descriptor` is a socket. One that is not open is none; writing to it will tell.
private func isSocket(_ descriptor: Int32) -> Bool {
    do throws(SystemError) { return try status(of: descriptor).isSocket } catch { return false }
}

/// The two directions between a client and a program that stands behind this process. Input that ends
/// first leaves the output running; with the output, all ends.
public struct Relay<Inward: ByteFilter, Outward: ByteFilter>: ~Copyable {
    private var inward: RelayedStream<Inward>
    private var outward: RelayedStream<Outward>
    private var closing: Descriptor?

    /// Relays `input` to `program`, and `reply` to `output`. When the input ends, `closing` is closed.
    public init(
        from input: Int32, through inward: Inward, to program: Int32,
        closing: consuming Descriptor? = nil,
        from reply: Int32, through outward: Outward, to output: Int32
    ) {
        self.inward = RelayedStream(from: input, to: program, through: inward)
        self.outward = RelayedStream(from: reply, to: output, through: outward)
        self.closing = closing
    }

    /// Relays until the replies end or cannot be written.
    public mutating func run() throws(SystemError) {
        var awaited: [Awaited] = []
        while let reply = outward.awaited {
            awaited.removeAll(keepingCapacity: true)
            awaited.append(reply)
            if let request = inward.awaited { awaited.append(request) }
            try poll(&awaited)
            if awaited.count > 1 && awaited[1].isReady {
                inward.advance()
                if inward.phase == .ended { closing = nil }
            }
            if awaited[0].isReady { outward.advance() }
        }
    }
}
