import Bytes
import Commands
import Linux
import Services

/// Programs that process 1 waits for before there is a supervisor. Meanwhile it reaps, and hears what it is told.
struct BootChildren: ~Copyable {
    /// How a wait ended.
    enum End: Equatable {
        /// The program ended.
        case ended(ExitStatus)
        /// It takes too long, and goes on.
        case late
        /// The machine is to go down; the program was killed.
        case told(Ending)
        /// It could not be started.
        case failed
    }

    private let signals: SignalDescriptor
    private let notices: Notices
    private let messages: Messages

    /// The signals it reads are blocked already.
    init(_ notices: Notices, _ messages: Messages) throws(SystemError) {
        signals = try SignalDescriptor(Init.signals)
        self.notices = notices
        self.messages = messages
    }

    /// Starts `command` and waits until it ends, at most `limit` milliseconds if given.
    borrowing func run(_ command: Invocation, limit: UInt64? = nil) -> End {
        do throws(SpawnError) {
            var setup = ChildSetup()
            setup.newSession = true
            return wait(for: try spawn(command, setup), limit: limit)
        } catch {
            messages.warning("unable to run \(command.program)", error.cause.errno)
            return .failed
        }
    }

    /// The same on the console, for people: with job control, and as long as it takes.
    borrowing func runOnConsole(_ command: Invocation) -> End {
        do throws(SystemError) {
            switch try forkProcess() {
            case .child: Console.become(command)
            case .parent(let pid): return wait(for: pid, limit: nil)
            }
        } catch {
            messages.warning("unable to run \(command.program)", error.errno)
            return .failed
        }
    }

    /// Starts programs that need not wait for each other, and waits for all of them. Nil where one could not start.
    borrowing func runTogether(_ commands: [Invocation], limit: UInt64) -> [End] {
        var pids: [ProcessID?] = []
        for command in commands {
            do throws(SpawnError) { pids.append(try spawn(command)) } catch {
                messages.warning("unable to run \(command.program)", error.cause.errno)
                pids.append(nil)
            }
        }
        var ends = [ProcessID: ExitStatus]()
        let deadline = Instant.now.advanced(milliseconds: limit)
        while pids.contains(where: { $0.map { ends[$0] == nil } ?? false }) {
            if let ending = next(until: deadline, noting: &ends) {
                return pids.map { _ in .told(ending) }
            }
            if deadline <= .now { break }
        }
        return pids.map { pid in
            guard let pid else { return .failed }
            return ends[pid].map { .ended($0) } ?? .late
        }
    }

    private borrowing func wait(for pid: ProcessID, limit: UInt64?) -> End {
        let deadline = limit.map { Instant.now.advanced(milliseconds: $0) }
        var ends = [ProcessID: ExitStatus]()
        while true {
            if let ending = next(until: deadline, noting: &ends) {
                // Its session's leader, or its group's: what it started goes with the rest.
                do throws(SystemError) { try send(.kill, to: pid) } catch {}
                return .told(ending)
            }
            if let status = ends[pid] { return .ended(status) }
            if let deadline, deadline <= .now { return .late }
        }
    }

    /// Waits for a signal, and reaps; returns what the machine is told to do.
    private borrowing func next(
        until deadline: Instant?, noting ends: inout [ProcessID: ExitStatus]
    ) -> Ending? {
        do throws(SystemError) {
            // Orphans are among those, which nobody asks for.
            var isNews = false
            while case .ended(let pid, let status) = try reap() {
                ends[pid] = status
                isNews = true
            }
            var awaited = [Awaited(signals.descriptor.number)]
            try poll(&awaited, milliseconds: isNews ? 0 : deadline?.millisecondsLeft)
            while let signal = try signals.next() {
                let isNotice = signal == MachineSignals.notice
                let events = isNotice ? notices.events() : MachineSignals.events(of: signal)
                for case .stopAsked(let ending, _) in events { return ending }
            }
            while case .ended(let pid, let status) = try reap() { ends[pid] = status }
        } catch {
            // Nothing to wait on: look again soon.
            Linux.pause(until: Instant.now.advanced(milliseconds: 50))
        }
        return nil
    }
}
