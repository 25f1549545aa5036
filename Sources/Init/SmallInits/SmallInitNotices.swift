import Bytes
import Linux

/// What a small init may have to say. Each says less than all of it, in its own words: those of the originals.
enum SmallInitNotice {
    case subreaper
    case cannotAdopt
    case debugMode
    case stays
    case terminalKept(Errno)
    case terminalLeft(isLeader: Bool)
    case started(ProcessID)
    case cannotFork(Errno)
    case directoryKept(Errno)
    case received(Signal)
    case response(SmallInitSignals.Response, to: Signal)
    case passed(Signal)
    case notPassed(Signal, to: ProcessID, Errno)
    case dropped
    case stopsItself
    case reaped(ProcessID, ExitStatus)
    case orphanReaped(ProcessID, ExitStatus)
    case commandEnded(ExitStatus)
    case noneLeft
    case noneYet
    case ends
}

/// A line for people, without its end, and where it goes.
struct SmallInitLine: Equatable {
    let text: ByteString
    let descriptor: Int32
}

extension SmallInitPlan {
    /// The line that the notice is under this plan, from the process `pid`; nil where nothing is said.
    func line(_ notice: SmallInitNotice, pid: ProcessID) -> SmallInitLine? {
        switch kind {
        case .tini: return tiniLine(notice, pid)
        case .dumbInit: return dumbInitLine(notice)
        case .catatonit: return catatonitLine(notice, pid)
        }
    }
}

// MARK: - tini

extension SmallInitPlan {
    private enum TiniLevel: Int {
        case fatal, warn, info, debug, trace

        var name: StaticString {
            switch self {
            case .fatal: "FATAL"
            case .warn: "WARN "
            case .info: "INFO "
            case .debug: "DEBUG"
            case .trace: "TRACE"
            }
        }
    }

    private func tiniLine(_ notice: SmallInitNotice, _ pid: ProcessID) -> SmallInitLine? {
        guard let (level, text) = tiniText(notice), level.rawValue <= verbosity else { return nil }
        return SmallInitLine(
            text: "[\(level.name) tini (\(pid))] \(text)",
            descriptor: level.rawValue > TiniLevel.warn.rawValue ? Standard.output : Standard.error)
    }

    private func tiniText(_ notice: SmallInitNotice) -> (TiniLevel, ByteString)? {
        switch notice {
        case .subreaper: return (.trace, "Registered as child subreaper")
        case .cannotAdopt: return (.warn, SmallInitPlan.tiniCannotAdopt)
        case .started(let child):
            let program = (command.first ?? "").visible
            return (.info, "Spawned child process '\(program)' with pid '\(child)'")
        case .cannotFork(let errno): return (.fatal, "fork failed: \(errno.libraryText)")
        case .received(.child): return (.debug, "Received SIGCHLD")
        case .response(.pass(let signal), _):
            return (.debug, "Passing signal: '\(signal.libraryText)'")
        case .notPassed(_, _, .noProcess): return (.warn, "Child was dead when forwarding signal")
        case .notPassed(_, _, let errno):
            return (.warn, "Unexpected error when forwarding signal: '\(errno.libraryText)'")
        case .reaped(let child, _): return (.debug, "Reaped child with pid: '\(child)'")
        case .orphanReaped(let child, _):
            return tellsOfOrphans ? (.warn, "Reaped zombie process with pid=\(child)") : nil
        case .commandEnded(let status):
            if let signal = status.signal {
                let text: ByteString = "Main child exited with signal (with signal"
                return (.info, "\(text) '\(signal.libraryText)')")
            }
            return (.info, "Main child exited normally (with status '\(status.shellCode)')")
        case .noneLeft: return (.trace, "No child to wait")
        case .noneYet: return (.trace, "No child to reap")
        case .ends: return (.trace, "Exiting: child has exited")
        default: return nil
        }
    }

    private static let tiniCannotAdopt: ByteString = """
        Tini is not running as PID 1 and isn't registered as a child subreaper.
        Zombie processes will not be re-parented to Tini, so zombie reaping won't work.
        To fix the problem, use the -s option or set the environment variable TINI_SUBREAPER to register Tini as a child \
        subreaper, or run Tini as PID 1.
        """
}

// MARK: - dumb-init

extension SmallInitPlan {
    private func dumbInitLine(_ notice: SmallInitNotice) -> SmallInitLine? {
        if case .cannotFork = notice {
            return SmallInitLine(
                text: "[dumb-init] Unable to fork. Exiting.", descriptor: Standard.error)
        }
        guard verbosity > 0, let text = dumbInitText(notice) else { return nil }
        return SmallInitLine(text: "[dumb-init] \(text)", descriptor: Standard.error)
    }

    private func dumbInitText(_ notice: SmallInitNotice) -> ByteString? {
        switch notice {
        case .debugMode: return "Running in debug mode."
        case .stays: return "Not running in setsid mode."
        case .terminalKept(let errno):
            return
                "Unable to detach from controlling tty (errno=\(errno.code) \(errno.libraryText))."
        case .terminalLeft(true):
            return
                "Detached from controlling tty, ignoring the first SIGHUP and SIGCONT we receive."
        case .terminalLeft(false):
            return "Detached from controlling tty, but was not session leader."
        case .started(let child): return "Child spawned with PID \(child)."
        case .directoryKept(let errno):
            return "Unable to chdir(\"/\") (errno=\(errno.code) \(errno.libraryText))"
        case .received(let signal): return "Received signal \(signal.number)."
        case .response(.handOff, let signal):
            return "Ignoring tty hand-off signal \(signal.number)."
        case .response(.pass(let new), let signal) where isRewritten(signal):
            return "Translating signal \(signal.number) to \(new.number)."
        case .response(.drop, let signal): return "Translating signal \(signal.number) to 0."
        case .passed(let signal): return "Forwarded signal \(signal.number) to children."
        case .stopsItself: return "Suspending self due to TTY signal."
        case .dropped: return "Not forwarding signal 0 to children (ignored)."
        case .reaped(let child, let status):
            if let signal = status.signal {
                return "A child with PID \(child) was terminated by signal \(signal.number)."
            }
            return "A child with PID \(child) exited with exit status \(status.shellCode)."
        case .commandEnded(let status):
            return "Child exited with status \(status.shellCode). Goodbye."
        default: return nil
        }
    }
}

// MARK: - catatonit

extension SmallInitPlan {
    private func catatonitLine(_ notice: SmallInitNotice, _ pid: ProcessID) -> SmallInitLine? {
        guard let (level, text) = catatonitText(notice), level == "ERROR" || verbosity > 0 else {
            return nil
        }
        return SmallInitLine(
            text: "\(level) (catatonit:\(pid)): \(text)", descriptor: Standard.error)
    }

    private func catatonitText(_ notice: SmallInitNotice) -> (ByteString, ByteString)? {
        switch notice {
        case .cannotFork(let errno):
            return ("ERROR", "failed to spawn pid1: \(errno.libraryText)")
        case .started(let child):
            return ("DEBUG", "pid1 (\(child)) spawned: \((command.first ?? "").visible)")
        case .response(.ignore, _) where !command.isEmpty:
            return ("DEBUG", "ignoring kernel attempting to stop us: tty has TOSTOP set")
        case .notPassed(let signal, let target, let errno):
            let text: ByteString =
                "forwarding of signal \(signal.number) to pid1 (\(target)) failed"
            return ("WARN", "\(text): \(errno.libraryText)")
        case .orphanReaped(let child, let status):
            if let signal = status.signal {
                return ("DEBUG", "child process \(child) exited due to signal \(signal.number)")
            }
            return ("DEBUG", "child process \(child) exited with code \(status.shellCode)")
        case .noneLeft: return ("DEBUG", "got ECHILD: no children left to monitor")
        default: return nil
        }
    }
}
