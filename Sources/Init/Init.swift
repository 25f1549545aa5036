import Bytes
import Commands
import Linux
import Supervision

/// Process 1 of a container or minimal VM, or, under any other process id, the same as a child
/// subreaper: supervises the services, runs the main command, reaps every orphan, stops in order.
public final class Init {
    /// What it is asked to do.
    public struct Options {
        /// The service directory.
        public var services: ByteString = "/service"
        /// Whether it was named by the user, so that its absence is an error worth a line even when
        /// there is a main command.
        public var servicesAreExplicit = false
        /// Milliseconds from the request to stop to the last KILL. A second less than the ten after
        /// which container engines kill.
        public var stopLimit: UInt64 = 9000
        /// The main command, with its arguments; empty for none.
        public var command: [ByteString] = []

        /// The options of a bare `init`.
        public init() {}
    }

    private let options: Options
    private let messages: Messages
    private let supervisor: Supervisor
    private var main = MainCommand()
    private var shutdown: Shutdown?

    /// Holds signals back until an instance takes them: to be called before anything else, since a
    /// signal to process 1 is lost until then, and one to another process fatal.
    public static func holdSignals() throws(SystemError) {
        _ = try Supervisor.Configuration.allSignals.block()
    }

    /// Takes the signals and, if this is not process 1, its descendants' orphans.
    public init(_ options: Options, messages: Messages) throws(Failure) {
        self.options = options
        self.messages = messages.nonBlocking
        do throws(SystemError) {
            supervisor = try Supervisor(.init(newSession: true), messages: messages)
        } catch {
            throw error.explained("unable to set up \(error.call)")
        }
        guard CurrentProcess.id != 1 else { return }
        do throws(SystemError) { try CurrentProcess.becomeSubreaper() } catch {
            messages.warning(
                "unable to become a child subreaper, orphans go elsewhere", error.errno)
        }
    }

    /// Runs until everything has been stopped; returns the exit code.
    public func run(environment: Environment) -> Int32 {
        startServices()
        if !options.command.isEmpty {
            main.start(
                Invocation(command: options.command, environment: environment),
                by: supervisor, messages)
            if main.pid == nil { stop() }
        }
        while true {
            do throws(SystemError) {
                for notice in try supervisor.turn(until: shutdown?.deadline) { handle(notice) }
            } catch {
                reapOnly(after: error)
            }
            if advanceShutdown() { return main.exitCode ?? 0 }
        }
    }

    private func startServices() {
        do throws(SystemError) {
            try supervisor.scan(directory: options.services)
        } catch {
            if error.errno == .noEntry && !options.servicesAreExplicit && !options.command.isEmpty {
                return
            }
            messages.warning("unable to supervise \(options.services)", error.errno)
        }
    }

    private func handle(_ notice: Supervisor.Notice) {
        switch notice {
        case .signal(let signal): receive(signal)
        case .orphan(let pid, let status):
            if main.reaped(pid, status) { stop() }
        case .noChildren: break
        }
    }

    private func receive(_ signal: Signal) {
        switch SignalPolicy(signal) {
        case .stop:
            if shutdown == nil {
                main.receive(signal == .interrupt ? .interrupt : .terminate, messages)
                stop()
            } else {
                shutdown?.hurry(at: .now)
            }
        case .rescan:
            supervisor.rescan()
            main.receive(signal, messages)
        case .forward: main.receive(signal, messages)
        case .ignore: break
        }
    }

    private func stop() {
        guard shutdown == nil else { return }
        shutdown = Shutdown(start: .now, limit: options.stopLimit)
        supervisor.stop()
    }

    /// Takes the stop as far as it goes now; returns whether it is over.
    private func advanceShutdown() -> Bool {
        guard shutdown != nil else { return false }
        let state = Shutdown.State(
            services: supervisor.runningServices + (main.pid == nil ? 0 : 1),
            loggers: supervisor.runningLoggers, hasChildren: supervisor.hasChildren)
        var isOver = false
        for action in shutdown?.next(state, at: .now) ?? [] {
            if action == .end { isOver = true } else { perform(action) }
        }
        return isOver
    }

    private func perform(_ action: Shutdown.Action) {
        switch action {
        case .killServices:
            messages.warning("services still up after half of the time to stop, killing them")
            supervisor.kill(loggers: false)
            main.receive(.kill, messages)
        case .terminateStrays: signalStrays([.terminate, .continue])
        case .killStrays:
            messages.warning("processes still there after three quarters of the time, killing them")
            signalStrays([.kill])
        case .terminateLoggers: supervisor.terminateLoggers()
        case .killEverything:
            messages.warning("time to stop is over, killing all that is left")
            supervisor.kill(loggers: true)
            main.receive(.kill, messages)
            signalStrays([.kill])
        case .end: break
        }
    }

    private func signalStrays(_ signals: [Signal]) {
        var strays: [ProcessID]
        do throws(SystemError) {
            strays = try ProcessTable().strays(
                of: CurrentProcess.id, sparing: supervisor.loggerProcesses)
        } catch {
            // Without /proc process 1 still reaches everybody, its loggers too, and no other can.
            strays = CurrentProcess.id == 1 ? [-1] : []
        }
        for pid in strays {
            for signal in signals {
                // Gone meanwhile, which is what was wanted.
                do throws(SystemError) { try send(signal, to: pid) } catch {}
            }
        }
    }

    /// A loop that cannot wait any more still has one duty.
    private func reapOnly(after error: SystemError) {
        messages.warning("unable to \(error.call), only reaping from here on", error.errno)
        while true {
            do throws(SystemError) {
                if try reap(block: true) == .noChildren { pause() }
            } catch {}
        }
    }
}
