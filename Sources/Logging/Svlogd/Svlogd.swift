import Bytes
import Commands
import Linux

/// A run of svlogd, from its options to the last line.
public struct Svlogd {
    private static let signals = SignalSet(.terminate, .alarm, .hangup, .child)

    private let options: SvlogdOptions
    private let call: Call

    /// A run with `options` as called.
    public init(_ options: SvlogdOptions, _ call: Call) {
        self.options = options
        self.call = call
    }

    /// Logs standard input to its end. Returns the exit code; throws only when nothing, or nothing more, can be
    /// logged.
    public func run() throws(Failure) -> Int32 {
        // No file of ours is to be taken for one of these.
        openStandardDescriptors(call.messages)
        let blocked = try require("unable to block signals") {
            () throws(SystemError) -> SignalSet in
            let blocked = try Svlogd.signals.block()
            try blocked.union(Svlogd.signals).block()
            return blocked.subtracting(Svlogd.signals)
        }
        // Whoever started it may ignore its children, whose ends would then not be told.
        _ = try require("unable to set the disposition of SIGCHLD") { () throws(SystemError) in
            try setDisposition(.child, ignored: false)
        }
        let terminate = try require("unable to wait for signals") { () throws(SystemError) in
            try SignalDescriptor(SignalSet(.terminate))
        }
        let retry = Retry(messages: call.messages, .svlogd) {
            [number = terminate.descriptor.number] in Multilog.wait($0, $1, orFor: number)
        }
        let voice = SvlogdVoice(messages: call.messages, isVerbose: options.isVerbose)
        let engine = try SvlogdEngine(
            options, Processor(environment: call.environment, blockedSignals: blocked), retry, voice
        )
        try read(engine, retry, voice)
        _ = consume terminate
        return engine.lostBytes == nil ? 0 : 111
    }

    private func read(_ engine: SvlogdEngine, _ retry: Retry, _ voice: SvlogdVoice)
        throws(Failure)
    {
        let pending = try require("unable to wait for signals") { () throws(SystemError) in
            try SignalDescriptor(Svlogd.signals)
        }
        var input = LogInput(Standard.input)
        var awaited = [Awaited(pending.descriptor.number), Awaited(Standard.input)]
        while !input.hasEnded {
            let timeLeft = input.timeLeft()
            try wait(for: &awaited, timeLeft, engine)
            if awaited[0].isReady { try take(pending, &input, engine, retry, voice) }
            if awaited[1].isReady && !input.hasEnded {
                let count = input.read(into: engine.block)
                if count > 0 { engine.consume(count) }
            }
        }
        engine.finish()
    }

    /// Waits for a signal, for input, or until something is due in a log.
    private func wait(for awaited: inout [Awaited], _ timeLeft: Int32?, _ engine: SvlogdEngine)
        throws(Failure)
    {
        do throws(SystemError) {
            try poll(&awaited, milliseconds: 0)
            if let deadline = engine.deadline, deadline <= .now {
                engine.flush()
                engine.tend()
            } else if awaited[1].isReady {
                engine.writeBlocks()
            } else {
                engine.flush()
                let due = engine.deadline?.millisecondsLeft
                let time = timeLeft.map { min($0, due ?? $0) } ?? due
                try poll(&awaited, milliseconds: time)
            }
        } catch { throw error.explained("unable to wait for input") }
    }

    private func take(
        _ pending: borrowing SignalDescriptor, _ input: inout LogInput, _ engine: SvlogdEngine,
        _ retry: Retry, _ voice: SvlogdVoice
    ) throws(Failure) {
        while let signal = try next(pending) {
            switch signal {
            case .alarm:
                voice.tell("sigalarm received.")
                engine.rotate()
            case .hangup:
                voice.tell("sighangup received.")
                engine.flush()
                try engine.reopen()
            case .child:
                voice.tell("sigchild received.")
                engine.flush()
                engine.tend()
            default:
                voice.tell("sigterm received.")
                retry.endSoon()
                input.endSoon()
            }
        }
    }

    private func next(_ pending: borrowing SignalDescriptor) throws(Failure) -> Signal? {
        do throws(SystemError) { return try pending.next() } catch {
            throw error.explained("unable to wait for signals")
        }
    }
}
