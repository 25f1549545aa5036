import Linux
import Services

/// What process 1 of a machine does with a signal. systemd's say what they want; for the rest, whoever sends them has
/// another init in mind, and gets what that does, except where two disagree and one of them would do harm.
enum MachineSignals {
    /// SIGIO, by which the kernel tells of the power button and of /run/initctl.
    static let notice = Signal(29)

    /// What to do at once, without stopping services first: systemd's SIGRTMIN+13 to +16, by glibc's count.
    static func immediateEnding(_ signal: Signal) -> Ending? {
        switch signal.number {
        case 47: .halt
        case 48: .powerOff
        case 49: .reboot
        case 50: .kexec
        default: nil
        }
    }

    /// The events that `signal` is.
    static func events(of signal: Signal) -> [Event] {
        if signal == .hangup { return [.rescanAsked] }
        guard let ending = ending(signal) else { return [] }
        return [.stopAsked(ending, signal: .terminate)]
    }

    private static func ending(_ signal: Signal) -> Ending? {
        switch signal {
        // Ctrl-Alt-Del.
        case .interrupt: .reboot
        // What asks a container to stop; busybox restarts then, and systemd starts itself anew.
        case .terminate: .powerOff
        // The power supply's, and busybox's.
        case .power, .user2, Signal(38): .powerOff
        case Signal(37): .halt
        case Signal(39): .reboot
        case Signal(40): .kexec
        // USR1 halts busybox's, and sysvinit's only opens /run/initctl again, for which scripts send it.
        default: nil
        }
    }
}
