import Bytes
import Commands
import Formats
import Linux
import Services
import Supervision

/// Process 1 of a machine: brings it up, supervises its services, takes it down. Its arguments are the words of the
/// kernel's command line that the kernel does not know, and never a command.
public struct MachineInit {
    /// Milliseconds from the request to stop to the last KILL, unless `apus.stop-timeout=` says otherwise.
    private static let stopLimit: UInt64 = 60_000
    /// How much of that is kept for what comes after the services.
    private static let stopReserve: UInt64 = 2000

    /// The variable of an image that goes on after a fault before there were services.
    private static let fault: ByteString = "APUS_FAULT"

    private let messages: Messages

    /// Speaks through `messages`.
    public init(_ messages: Messages) { self.messages = messages }

    /// Does it all. The machine ends with it, and process 1 never returns.
    public func run(_ environment: Environment) -> Never {
        do throws(SystemError) { try Init.holdSignals() } catch {
            messages.warning("unable to block signals", error.errno)
        }
        var environment = environment
        let isAfterFault = environment[MachineInit.fault] != nil
        // Whoever goes on after one fault does not after the next, before anything else was done.
        prepareForFault(.powerOff, onlyToEnd: isAfterFault)
        environment.unset(MachineInit.fault)
        if !Supervisor.isResumed { Boot.begin(messages) }
        let commandLine = Boot.commandLine(messages)
        let substitute = commandLine["apus.poweroff"]
        if substitute != nil {
            prepareForFault(
                Machine.Ending(.powerOff, powerOffBy: substitute), onlyToEnd: isAfterFault)
        }
        let ending = life(commandLine, environment, isAfterFault: isAfterFault)
        Takedown(
            Machine.Ending(ending, powerOffBy: substitute, isKernelLoaded: isKernelLoaded),
            messages,
            StepTimes(isWanted: commandLine.has("apus.trace"), messages)
        ).perform()
    }

    /// Whether kexec(8) has loaded a kernel.
    private var isKernelLoaded: Bool {
        SmallFiles.read("/sys/kernel/kexec_loaded", messages)?.first == UInt8(ascii: "1")
    }

    private func prepareForFault(_ ending: Machine.Ending, onlyToEnd: Bool) {
        var variables: Environment?
        if !onlyToEnd && !Supervisor.isResumed {
            variables = .inherited
            variables?.set(MachineInit.fault, "1")
        }
        do throws(SystemError) {
            try Machine.endOnFault(ending, restartingWith: variables)
        } catch { messages.warning("unable to prepare for a fault of this process", error.errno) }
    }

    private func life(
        _ commandLine: KernelCommandLine, _ environment: Environment, isAfterFault: Bool
    ) -> Ending {
        let notices = Notices(messages)
        let services = commandLine["apus.services"] ?? "/service"
        // The machine is up; the environment is in what the image before left.
        if Supervisor.isResumed {
            // The kernel forgot where to tell of them, as they were closed.
            notices.listen()
            return supervise(configuration(commandLine, services, environment, notices))
        }
        do throws(SystemError) {
            var boot = Boot(
                commandLine, services: services, environment: environment, notices: notices,
                messages: messages)
            switch try isAfterFault ? boot.performAfterFault() : boot.perform() {
            case .told(let ending): return ending
            case .ready(let environment):
                boot.finishBesides()
                StartNotice(commandLine, services, messages)?.begin()
                return supervise(configuration(commandLine, services, environment, notices))
            }
        } catch {
            messages.warning("unable to \(error.call): the machine cannot come up", error.errno)
            return .powerOff
        }
    }

    private func supervise(_ configuration: Supervisor.Configuration) -> Ending {
        do throws(SystemError) {
            return try Supervisor.make(configuration, messages: messages).run().ending
        } catch {
            messages.warning("unable to \(error.call), only reaping from here on", error.errno)
            _ = ReapOnly(messages).run()
            return .powerOff
        }
    }

    private func configuration(
        _ commandLine: KernelCommandLine, _ services: ByteString, _ environment: Environment,
        _ notices: Notices
    ) -> Supervisor.Configuration {
        var limit = MachineInit.stopLimit
        if let text = commandLine["apus.stop-timeout"] {
            if let seconds = parseDecimal(text, within: 0...86400) {
                limit = UInt64(seconds) * 1000
            } else {
                messages.warning(
                    "apus.stop-timeout=\(text.excerpt) is no number of seconds up to 86400")
            }
        }
        let messages = messages
        let substitute = commandLine["apus.poweroff"]
        let times = StepTimes(isWanted: commandLine.has("apus.trace"), messages)
        var configuration = Supervisor.Configuration(
            Conductor.Configuration(
                stopLimit: limit * 1_000_000,
                stopReserve: min(MachineInit.stopReserve, limit / 4) * 1_000_000,
                reachesOthers: true),
            environment: environment,
            meaning: { signal in
                if let ending = MachineSignals.immediateEnding(signal) {
                    Takedown(Machine.Ending(ending, powerOffBy: substitute), messages, times)
                        .perform()
                }
                if signal == MachineSignals.notice { return notices.events() }
                if signal == .user1 { notices.listen() }
                return MachineSignals.events(of: signal)
            })
        configuration.scanDirectory = services
        configuration.newSession = true
        configuration.nullInput = true
        configuration.signals = Init.signals
        return configuration
    }
}
