import Bytes
import Commands
import Formats
import Linux
import Services
import Supervision

/// Process 1 of a container or minimal VM, or, under any other process id, the same as a child subreaper: supervises
/// the services, runs the main command, reaps every orphan, stops in order.
public struct Init {
    /// What it is asked to do.
    public struct Options {
        /// The service directory.
        public var services: ByteString = "/service"
        /// Whether it was named by the user, so that its absence is an error worth a line even when there is a main
        /// command.
        public var servicesAreExplicit = false
        /// Milliseconds from the request to stop to the last KILL. A second less than the ten after which container
        /// engines kill.
        public var stopLimit: UInt64 = 9000
        /// What the output of services without a logger looks like; nil to leave it to them.
        public var lineForm: ServiceLineForm?
        /// The main command, with its arguments; empty for none.
        public var command: [ByteString] = []
        /// Whether the main command is started when the services are up and ready, or will not be.
        public var commandWaits = false
        /// For how many milliseconds it waits; nil for ever.
        public var commandPatience: UInt64?
        /// Signals that are to mean others.
        public var rewrites = SignalRewrites()
        /// How much is said: 0 for what is fatal, 1 for warnings too, 2 for information too.
        public var verbosity = 1

        /// The options of a bare `init`.
        public init() {}
    }

    /// The signals it takes.
    static let signals = Supervisor.Configuration.allSignals
    /// At most this much of the time to stop is kept for what comes after the services, in milliseconds.
    private static let stopReserve: UInt64 = 1000

    private let supervisor: Supervisor
    private let overlay: Overlay?

    /// Holds signals back until an instance takes them: to be called before anything else, since a signal to
    /// process 1 is lost until then, and one to another process fatal.
    public static func holdSignals() throws(SystemError) {
        _ = try signals.block()
    }

    /// Takes the signals and, if this is not process 1, its descendants' orphans.
    public init(_ options: Options, environment: Environment, messages: Messages) throws(Failure) {
        // What another process 1 made is its own.
        let isOverlay = CurrentProcess.id == 1 && !options.servicesAreExplicit
        overlay =
            isOverlay ? Overlay(environment, alsoFrom: options.services, messages) : nil
        var options = options
        if overlay != nil {
            options.services = OverlayFiles.scanDirectory
            options.servicesAreExplicit = true
        }
        do throws(SystemError) {
            supervisor = try Supervisor.make(
                Init.configuration(options, environment, overlay), messages: messages)
        } catch {
            throw error.explained("unable to set up \(error.call)")
        }
        guard CurrentProcess.id != 1 else { return }
        do throws(SystemError) { try CurrentProcess.becomeSubreaper() } catch {
            supervisor.messages.warning(
                "unable to become a child subreaper, orphans go elsewhere", error.errno)
        }
    }

    private static func configuration(
        _ options: Options, _ environment: Environment, _ overlay: Overlay?
    ) -> Supervisor.Configuration {
        let environment = overlay?.environment ?? environment
        // Others get a quarter of what is kept.
        let reserve = overlay?.killGrace.map { $0 * 4 } ?? min(stopReserve, options.stopLimit / 4)
        let least = overlay?.killGrace == nil ? 0 : reserve
        let hasServices =
            options.servicesAreExplicit || options.command.isEmpty || isThere(options.services)
        let hasCommand = !options.command.isEmpty
        let rewrites = options.rewrites
        var configuration = Supervisor.Configuration(
            Conductor.Configuration(
                stopLimit: (options.stopLimit + least) * 1_000_000,
                stopReserve: reserve * 1_000_000,
                reachesOthers: true),
            environment: environment,
            meaning: { SignalPolicy.events(of: $0, hasCommand: hasCommand, rewrites) })
        configuration.scanDirectory = hasServices ? options.services : nil
        if hasCommand {
            configuration.command = Invocation(command: options.command, environment: environment)
        }
        configuration.conductor.commandWaits = overlay != nil || options.commandWaits
        let patience = options.commandWaits ? options.commandPatience : overlay?.commandPatience
        configuration.conductor.commandPatience = patience.map { $0 * 1_000_000 }
        configuration.newSession = true
        configuration.lineForm = options.lineForm
        configuration.nullInput = true
        configuration.outlivesOthers = CurrentProcess.id == 1
        configuration.signals = signals
        return configuration
    }

    private static func isThere(_ path: ByteString) -> Bool {
        do throws(SystemError) { return try exists(path) } catch { return true }
    }

    /// Runs until everything has been stopped; returns the exit code.
    public func run() -> Int32 {
        do throws(SystemError) {
            let end = try supervisor.run()
            let code = overlay?.exitCode(or: end.exitCode) ?? end.exitCode
            LastWord(end.reason, isNews: end.isReasonNews, exitCode: code)
                .leave(supervisor.messages)
            return code
        } catch {
            supervisor.messages.warning(
                "unable to \(error.call), only reaping from here on", error.errno)
            return ReapOnly(supervisor.messages).run()
        }
    }
}
