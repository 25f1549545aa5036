import Bytes
import Linux

/// Feeds an engine until its input ends. Everything is written before it waits for more, so that
/// every line is on its way to the file when the input pauses. SIGALRM rotates, SIGTERM ends the
/// input.
struct LogReader: ~Copyable {
    /// The signals that it takes, to be blocked by the caller.
    static let signals = SignalSet(.terminate, .alarm)

    private let engine: LogEngine
    private let retry: Retry
    private let pending: SignalDescriptor
    private var input: LogInput
    private var awaited: [Awaited]

    /// Reads `input`, heeding only `signals`; `retry` is what the engine meets trouble with.
    init(
        _ engine: LogEngine, _ retry: Retry, input: Int32, signals: SignalSet = LogReader.signals
    ) throws(SystemError) {
        self.engine = engine
        self.retry = retry
        self.input = LogInput(input)
        pending = try SignalDescriptor(signals)
        awaited = [Awaited(pending.descriptor.number), Awaited(input)]
    }

    /// Reads to the end, and brings all files safely to disk.
    mutating func run() throws(SystemError) {
        while !input.hasEnded {
            let timeLeft = input.timeLeft()
            try poll(&awaited, milliseconds: 0)
            if awaited[1].isReady {
                engine.writeBlocks()
            } else {
                engine.flush()
                try poll(&awaited, milliseconds: timeLeft)
            }
            if awaited[0].isReady { try takeSignals() }
            if awaited[1].isReady && !input.hasEnded {
                let count = input.read(into: engine.block)
                if count > 0 { engine.consume(count) }
            }
        }
        engine.finish()
    }

    private mutating func takeSignals() throws(SystemError) {
        while let signal = try pending.next() {
            if signal == .alarm {
                engine.rotate()
            } else {
                retry.endSoon()
                input.endSoon()
            }
        }
    }
}
