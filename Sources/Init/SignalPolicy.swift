import Bytes
import Linux

/// What PID 1 does with a signal sent to it. Those not named here are passed on to the main command.
enum SignalPolicy: Equatable {
    /// Stop everything in order, then end; the second time, with force.
    case stop
    /// Look at the service directory now, and pass the signal on: it means "reload" to both.
    case rescan
    /// Pass it on to the main command.
    case forward
    /// Nothing: the kernel's own notices.
    case ignore

    /// The policy for `signal`.
    init(_ signal: Signal) {
        switch signal {
        // 37 and 38 are how container engines tell an init to halt and to power off: SIGRTMIN+3
        // and +4 by glibc's count, whatever the libc this runs on.
        case .terminate, .interrupt, .power, Signal(37), Signal(38): self = .stop
        case .hangup: self = .rescan
        case .child, .pipe, .terminalInput, .terminalOutput: self = .ignore
        default: self = .forward
        }
    }
}
