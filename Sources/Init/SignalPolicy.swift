import Bytes
import Linux
import Services

/// What PID 1 does with a signal sent to it. Those not named here are passed on to the main command.
enum SignalPolicy {
    /// The events that `signal` is, when there is a main command or none.
    static func events(of signal: Signal, hasCommand: Bool) -> [Event] {
        let number = ServiceSignal(rawValue: signal.number)
        guard isTaken(signal) else { return [] }
        switch signal {
        case .terminate, .interrupt: return [.stopAsked(.exit, signal: number)]
        case .quit where !hasCommand: return [.stopAsked(.exit, signal: .terminate)]
        // It means "reload" to both.
        case .hangup: return [.rescanAsked, .forwarded(number)]
        // The kernel's own notices.
        case .pipe, .terminalInput, .terminalOutput: return []
        default: break
        }
        if let ending = ending(signal) { return [.stopAsked(ending, signal: .terminate)] }
        if let ending = MachineSignals.immediateEnding(signal) {
            // A second one leaves services no time.
            return [Event](repeating: .stopAsked(ending, signal: .terminate), count: 2)
        }
        return [.forwarded(number)]
    }

    /// The same where some are rewritten: as if the other one had come, but what asks for a stop still does, and the
    /// command gets the other one then.
    static func events(of signal: Signal, hasCommand: Bool, _ rewrites: SignalRewrites) -> [Event] {
        let own = events(of: signal, hasCommand: hasCommand)
        guard let target = rewrites.target(of: signal) else { return own }
        if target == 0 { return [] }
        let number = ServiceSignal(rawValue: target)
        let stops = own.compactMap { event in
            if case .stopAsked(let ending, _) = event {
                return Event.stopAsked(ending, signal: number)
            }
            return nil
        }
        if !stops.isEmpty { return stops }
        let other = events(of: Signal(target), hasCommand: hasCommand)
        if other.contains(where: { $0.isStop }) { return other }
        let rescan: [Event] =
            own.contains(.rescanAsked) || other.contains(.rescanAsked) ? [.rescanAsked] : []
        return rescan + [.forwarded(number)]
    }

    /// Whether the kernel gives a signal to process 1 for it to decide about. It never gives KILL and STOP, `init`
    /// leaves those that tell of a fault of its own to the kernel, and CHLD tells of its children.
    static func isTaken(_ signal: Signal) -> Bool {
        !SignalSet.faults.union(SignalSet(.kill, .stop, .child)).contains(signal)
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

extension Event {
    /// Whether it asks for the end.
    var isStop: Bool { if case .stopAsked = self { true } else { false } }
}
