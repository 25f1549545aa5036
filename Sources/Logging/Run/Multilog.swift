import Bytes
import Commands
import Linux

/// What multilog does when the log does not keep up with the lines.
public enum StallPolicy: Equatable, Sendable {
    /// It reads no more, as the original; who writes the lines waits in the end.
    case wait
    /// It drops the oldest lines of a queue of so many bytes.
    case dropOldest(queueSize: Int)
}

/// A run of multilog, from the script to the last line.
public struct Multilog {
    private let script: LogScript
    private let policy: StallPolicy
    private let call: Call

    /// A run of `script` as called.
    public init(_ script: LogScript, _ policy: StallPolicy, _ call: Call) {
        self.script = script
        self.policy = policy
        self.call = call
    }

    /// Logs standard input to its end. Returns the exit code; throws only when nothing, or nothing
    /// more, can be logged.
    public func run() throws(Failure) -> Int32 {
        CurrentProcess.setUmask(0o022)
        // No file of ours is to be taken for one of these.
        try require("unable to open /dev/null") { () throws(SystemError) in
            for descriptor in Standard.input...Standard.error { try ensureOpen(descriptor) }
        }
        let blocked = try require("unable to block signals") {
            () throws(SystemError) -> SignalSet in
            let blocked = try LogReader.signals.block()
            try blocked.union(LogReader.signals).block()
            return blocked
        }
        // Whoever started it may ignore its children, whose ends would then not be told.
        _ = try require("unable to set the disposition of SIGCHLD") { () throws(SystemError) in
            try setDisposition(.child, ignored: false)
        }
        let processor = Processor(environment: call.environment, blockedSignals: blocked)
        guard case .dropOldest(let queueSize) = policy else {
            let terminate = try require("unable to wait for signals") { () throws(SystemError) in
                try SignalDescriptor(SignalSet(.terminate))
            }
            let retry = Retry(messages: call.messages) { [number = terminate.descriptor.number] in
                Multilog.wait($0, $1, orFor: number)
            }
            let engine = try LogEngine(script, processor, retry)
            let code = try write(engine, retry, from: Standard.input, LogReader.signals)
            _ = consume terminate
            return code
        }
        let relay = CurrentProcess.id
        let retry = Retry(messages: call.messages) { descriptor, milliseconds in
            _ = Multilog.wait(descriptor, milliseconds, orFor: -1)
            // A writer without its relay must not keep the next logger from the directory.
            if CurrentProcess.id != relay && CurrentProcess.parent != relay { exitNow(111) }
            // The relay is who is told to end.
            return false
        }
        // The relay stamps lines when they come; the writer must not do it again.
        var unstamped = script
        unstamped.stampsLines = false
        var engine: LogEngine? = try LogEngine(unstamped, processor, retry)
        return try runInTwo(&engine, retry, queueSize)
    }

    /// Waits for `descriptor` or a signal that can be read from `signals`, for so many milliseconds at
    /// most; returns whether there is a signal, which stays to be read.
    static func wait(_ descriptor: Int32, _ milliseconds: Int32?, orFor signals: Int32)
        -> Bool
    {
        var awaited = [Awaited(descriptor), Awaited(signals)]
        do throws(SystemError) { try poll(&awaited, milliseconds: milliseconds) } catch {
            // Out of memory: the time is waited for all the same.
            Linux.pause(seconds: 1)
        }
        return awaited[1].isReady
    }

    private func write(
        _ engine: LogEngine, _ retry: Retry, from input: Int32, _ signals: SignalSet
    ) throws(Failure) -> Int32 {
        try require("unable to wait for input") { () throws(SystemError) in
            var reader = try LogReader(engine, retry, input: input, signals: signals)
            try reader.run()
        }
        return engine.lostBytes == nil ? 0 : 111
    }

    /// The writer is the child and ends with its input, whatever SIGTERM is sent to the group. The
    /// parent lets go of the engine, so that the files it has open are the writer's alone.
    private func runInTwo(_ engine: inout LogEngine?, _ retry: Retry, _ queueSize: Int)
        throws(Failure) -> Int32
    {
        let pipe = try require("unable to create pipe") { () throws(SystemError) in try Pipe() }
        let reader = pipe.reader
        let writer = pipe.writer
        let fork = try require("unable to fork") { () throws(SystemError) in try forkProcess() }
        guard case .parent(let child) = fork else {
            _ = consume writer
            guard let engine else { return 111 }
            return try write(engine, retry, from: reader.number, SignalSet(.alarm))
        }
        engine = nil
        _ = consume reader
        do throws(SystemError) {
            var relay = try StallRelay(
                to: child, through: writer, capacity: queueSize,
                stampsLines: script.stampsLines, call.messages)
            try relay.run()
        } catch {
            throw error.explained("unable to hand lines to the writer")
        }
        return try require("unable to wait for the writer") { () throws(SystemError) in
            guard case .ended(_, let status) = try reap(child, block: true) else { return 111 }
            return status.exitCode ?? 111
        }
    }
}
