import Bytes
import Commands
import Linux
import Services
import Supervision

/// runsvdir(8) of runit: supervises the services of a directory. All of them have one supervisor, a child of this
/// process, which TERM does not reach: runsvdir ends, and the services go on, supervised. Process 1 cannot leave them
/// behind; it supervises them itself, and stops them in order.
func runsvdir(_ call: Call) throws(Failure) -> Outcome {
    var words = call.arguments.dropFirst()
    let newSession = words.first?.hasPrefix("-P") ?? false
    if newSession || words.first?.hasPrefix("--") ?? false { words.removeFirst() }
    guard let directory = words.first else {
        throw Failure(usageOfRunit: "[-P] dir", exitCode: 1)
    }
    let job = ScanJob(
        call: call, directory: directory, newSession: newSession,
        log: words.count > 1 ? call.arguments.last : nil)
    do throws(SystemError) {
        openStandardDescriptors(job.messages)
        return try CurrentProcess.id == 1 ? job.superviseHere() : job.superviseInChild()
    } catch {
        job.messages.report(error.explained("unable to begin", exitCode: 100))
        return .exit(100)
    }
}

private struct ScanJob {
    let call: Call
    let directory: ByteString
    let newSession: Bool
    /// The word through which standard error scrolls.
    let log: ByteString?

    /// The exit code after HUP.
    private static let hangupCode: Int32 = 111
    /// The fewest bytes of a log, and the first of them that scrolls.
    private static let (leastLog, scrollStart) = (7, 5)
    /// How often a dot moves what the log shows, so that old errors expire, in milliseconds.
    private static let dotInterval: UInt64 = 900_000

    var messages: Messages { Messages(program: "runsvdir \(directory)") }

    // MARK: - The supervisor

    /// Supervises until it is told to stop. Returns the exit code.
    private func supervise() -> Int32 {
        do throws(Failure) {
            let outcome = try Programs.supervise(
                call, svscanStop, scanDirectory: directory, as: messages.program,
                asRunit: true, newSession: newSession, meaning: ScanJob.events)
            if case .exit(let code) = outcome { return code }
            return 0
        } catch {
            messages.report(error)
            return error.exitCode
        }
    }

    private static func events(of signal: Signal) -> [Event] {
        switch signal {
        case .terminate, .interrupt, .hangup: [.stopAsked(.exit, signal: .terminate)]
        default: []
        }
    }

    // MARK: - The arrangement of processes

    func superviseHere() throws(SystemError) -> Outcome {
        if let window = window() {
            let pipe = try Pipe()
            guard case .parent = try forkProcess() else {
                closeUnowned(pipe.writer.release())
                try watch(nil, pipe.reader, window)
                exitNow(0)
            }
            try redirect(Standard.error, to: pipe.writer.number)
        }
        return .exit(supervise())
    }

    func superviseInChild() throws(SystemError) -> Outcome {
        let window = window()
        let pipe = try Pipe()
        let taken = SignalSet(.terminate, .hangup, .child)
        let blocked = try taken.block()
        // Where SIGCHLD is ignored, nobody would be told of the child's end.
        try setDisposition(.child, ignored: false)
        guard case .parent(let child) = try forkProcess() else {
            try blocked.block()
            if window != nil { try redirect(Standard.error, to: pipe.writer.number) }
            closeUnowned(pipe.writer.release())
            closeUnowned(pipe.reader.release())
            exitNow(supervise())
        }
        try blocked.union(taken).block()
        let reader = pipe.reader
        closeUnowned(pipe.writer.release())
        return .exit(try watch(child, reader, window))
    }

    /// Where standard error is to scroll; nil when it is not to.
    private func window() -> TitleWindow? {
        guard let log else { return nil }
        guard log.count >= ScanJob.leastLog, let word = LastWord(of: call.arguments) else {
            messages.warning("log must have at least seven characters.")
            messages.warning("log service disabled.")
            return nil
        }
        return TitleWindow(word, from: ScanJob.scrollStart)
    }

    /// Waits for signals and for the end of `child`, the supervisor, and lets what it says scroll. Returns the exit
    /// code.
    @discardableResult
    private func watch(
        _ child: ProcessID?, _ errors: borrowing Descriptor, _ window: TitleWindow?
    ) throws(SystemError) -> Int32 {
        let pending = try SignalDescriptor(SignalSet(.terminate, .hangup, .child))
        var hasErrors = window != nil
        var dotDue = Instant.now.advanced(milliseconds: ScanJob.dotInterval)
        while true {
            var awaited = [
                Awaited(pending.descriptor.number), Awaited(hasErrors ? errors.number : -1),
            ]
            try poll(&awaited, milliseconds: window == nil ? nil : dotDue.millisecondsLeft)
            if awaited[0].isReady, let code = try takeSignal(pending, child) { return code }
            if awaited[1].isReady, let window {
                hasErrors = try show(errors, window)
                if !hasErrors && child == nil { return 0 }
            }
            if let window, dotDue <= .now {
                window.scroll(".".utf8)
                dotDue = Instant.now.advanced(milliseconds: ScanJob.dotInterval)
            }
        }
    }

    /// The exit code, if a signal means the end.
    private func takeSignal(_ pending: borrowing SignalDescriptor, _ child: ProcessID?)
        throws(SystemError) -> Int32?
    {
        guard let child else { return nil }
        while let signal = try pending.next() {
            switch signal {
            case .terminate: return 0
            case .hangup:
                try send(.terminate, to: child)
                return ScanJob.hangupCode
            default:
                if case .ended(_, let status) = try reap(child) { return status.shellCode }
            }
        }
        return nil
    }

    /// Lets some of what was said scroll. Returns whether there may be more.
    private func show(_ errors: borrowing Descriptor, _ window: TitleWindow) throws(SystemError)
        -> Bool
    {
        var block = [UInt8](repeating: 0, count: 4096)
        let count = try block.withUnsafeMutableBufferPointer {
            (buffer) throws(SystemError) -> Int in
            try errors.read(into: UnsafeMutableRawBufferPointer(buffer))
        }
        window.scroll(block[..<count])
        return count > 0
    }
}
