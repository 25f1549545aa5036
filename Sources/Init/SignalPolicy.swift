import Linux
import Services

/// What PID 1 does with a signal sent to it. Those not named here are passed on to the main command.
enum SignalPolicy {
    /// The events that `signal` is, when there is a main command or none.
    static func events(of signal: Signal, hasCommand: Bool) -> [Event] {
        let number = ServiceSignal(rawValue: signal.number)
        switch signal {
        case .terminate, .interrupt: return [.stopAsked(.exit, signal: number)]
        case .quit where !hasCommand: return [.stopAsked(.exit, signal: .terminate)]
        // It means "reload" to both.
        case .hangup: return [.rescanAsked, .forwarded(number)]
        // The kernel's own notices.
        case .child, .pipe, .terminalInput, .terminalOutput: return []
        default:
            if let ending = ending(signal) { return [.stopAsked(ending, signal: .terminate)] }
            return [.forwarded(number)]
        }
    }

    /// What a machine, or an engine that treats a container like one, asks for: systemd's signals, SIGRTMIN+3 and on
    /// by glibc's count, whatever the libc this runs on; and the power supply's.
    private static func ending(_ signal: Signal) -> Ending? {
        switch signal {
        case .power, Signal(38): .powerOff
        case Signal(37): .halt
        case Signal(39): .reboot
        case Signal(40): .kexec
        default: nil
        }
    }
}
