import Bytes
import Linux

/// The child of a small init, until it is the command.
struct SmallInitChild: ~Copyable {
    /// What the init had when it was started, of what it has changed.
    struct Start {
        /// The signals that were blocked.
        let blocked: SignalSet
        /// Of those that it ignores now, the ones that were ignored.
        let ignored: SignalSet
        /// Whether SIGCHLD was ignored.
        let leavesChildren: Bool
    }

    /// A step that failed: the line about it and the exit code.
    private struct Refusal: Error {
        let text: ByteString
        let exitCode: Int32
    }

    private let plan: SmallInitPlan
    private var environment: Environment
    private let start: Start

    init(_ plan: SmallInitPlan, _ environment: Environment, _ start: Start) {
        self.plan = plan
        self.environment = environment
        self.start = start
    }

    /// Becomes the command; returns only the exit code of a failure, about which it has spoken. All signals are blocked
    /// until the last moment, so that those passed on to it meanwhile reach the command.
    consuming func become() -> Int32 {
        do throws(Refusal) {
            if plan.kind.passesSockets { takeSockets() }
            switch plan.kind {
            case .tini, .catatonit: try leadGroup()
            case .dumbInit: try leadSession()
            }
            try restoreSignals()
            do throws(SystemError) {
                try Invocation(command: plan.command, environment: environment).executeAsLibrary()
            } catch {
                throw Refusal(
                    text: refusedExec(error.errno),
                    exitCode: plan.kind.exitCode(ofExec: error.errno))
            }
        } catch {
            tell(error.text)
            return error.exitCode
        }
    }

    /// sd_listen_fds(3): the variable has the id of the process that the descriptors are for.
    private mutating func takeSockets() {
        guard let text = environment["LISTEN_PID"],
            scanNumber(text.bytes).value == Int(CurrentProcess.parent)
        else { return }
        environment.set("LISTEN_PID", "\(CurrentProcess.id)")
    }

    private func leadGroup() throws(Refusal) {
        do throws(SystemError) { try CurrentProcess.startGroup() } catch {
            throw refused("setpgid failed", "failed to create process group", error.errno)
        }
        do throws(SystemError) { try takeForeground() } catch {
            if SmallInit.toleratesTerminal(error.errno) { return }
            throw refused(
                "tcsetpgrp failed", "setting foreground process failed", error.errno)
        }
    }

    /// Whatever its input is, the terminal of its session, if there is one: as each original has it.
    private func takeForeground() throws(SystemError) {
        guard plan.kind == .catatonit else { return try Linux.takeForeground(Standard.input) }
        let terminal: Descriptor
        do throws(SystemError) { terminal = try openFile("/dev/tty", .terminal) } catch {
            return try Linux.takeForeground(Standard.input)
        }
        try Linux.takeForeground(terminal.number)
    }

    private func leadSession() throws(Refusal) {
        guard plan.startsSession else { return }
        do throws(SystemError) { try CurrentProcess.startSession() } catch {
            let (code, text) = (error.errno.code, error.errno.libraryText)
            throw Refusal(
                text: "[dumb-init] Unable to setsid (errno=\(code) \(text)). Exiting.", exitCode: 1)
        }
        do throws(SystemError) { try takeTerminal(Standard.input, force: false) } catch {
            let (code, text) = (error.errno.code, error.errno.libraryText)
            mention("Unable to attach to controlling tty (errno=\(code) \(text)).")
        }
        mention("setsid complete.")
    }

    /// Says what is only said when asked for, and keeps no command waiting for that.
    private func mention(_ text: ByteString) {
        guard plan.verbosity > 0 else { return }
        let line: ByteString = "[dumb-init] \(text)\n"
        do throws(SystemError) {
            try writeWithoutWaiting(Standard.error, Array(line.bytes))
        } catch {}
    }

    private func restoreSignals() throws(Refusal) {
        do throws(SystemError) {
            for number in Int32(1)...64 {
                let signal = Signal(number)
                if signal == .kill || signal == .stop { continue }
                let isChanged =
                    plan.kind.ignored.contains(signal) && !start.ignored.contains(signal)
                if isChanged || plan.kind.restored.contains(signal) {
                    try setDisposition(signal, ignored: false)
                }
            }
            if start.leavesChildren, !plan.kind.restored.contains(.child) {
                try setDisposition(.child, ignored: true)
            }
            try (plan.kind.unblocksAll ? [] : start.blocked).block()
        } catch { throw refused("sigaction failed", "failed to reset sigmask", error.errno) }
    }

    private func refused(_ tini: StaticString, _ catatonit: StaticString, _ errno: Errno) -> Refusal
    {
        let text: ByteString = "\(plan.kind == .tini ? tini : catatonit): \(errno.libraryText)"
        return Refusal(text: prefixed(text), exitCode: 1)
    }

    private func refusedExec(_ errno: Errno) -> ByteString {
        let program = (plan.command.first ?? "").visible
        switch plan.kind {
        case .tini: return prefixed("exec \(program) failed: \(errno.libraryText)")
        case .dumbInit: return "[dumb-init] \(program): \(errno.libraryText)"
        case .catatonit: return prefixed("failed to exec pid1: \(errno.libraryText)")
        }
    }

    private func prefixed(_ text: ByteString) -> ByteString {
        let pid = CurrentProcess.id
        return plan.kind == .tini
            ? "[FATAL tini (\(pid))] \(text)" : "ERROR (catatonit:\(pid)): \(text)"
    }

    /// The last word of the child, which may wait for its reader: it is not the init.
    private func tell(_ text: ByteString) {
        do throws(SystemError) {
            try writeAll(Standard.error, Array(text.bytes) + [UInt8(ascii: "\n")])
        } catch {}
    }
}
