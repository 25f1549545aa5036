/// What can be asked of a supervised service: one byte each, written by svc into the control FIFO.
/// The letters of daemontools, and four of daemontools-encore and runit that are free there.
public enum Command: UInt8, CaseIterable, Sendable {
    /// `u`: start it, and again whenever it ends.
    case up = 0x75
    /// `d`: SIGTERM and SIGCONT, and do not start it again.
    case down = 0x64
    /// `o`: start it if it is down, and do not start it again.
    case once = 0x6f
    /// `x`: stop supervising it as soon as it is down.
    case exit = 0x78
    /// `p`: SIGSTOP.
    case pause = 0x70
    /// `c`: SIGCONT.
    case `continue` = 0x63
    /// `h`: SIGHUP.
    case hangup = 0x68
    /// `a`: SIGALRM.
    case alarm = 0x61
    /// `i`: SIGINT.
    case interrupt = 0x69
    /// `t`: SIGTERM.
    case terminate = 0x74
    /// `k`: SIGKILL.
    case kill = 0x6b
    /// `q`: SIGQUIT. Not in daemontools.
    case quit = 0x71
    /// `1`: SIGUSR1. Not in daemontools.
    case user1 = 0x31
    /// `2`: SIGUSR2. Not in daemontools.
    case user2 = 0x32
    /// `w`: SIGWINCH. Not in daemontools.
    case windowChange = 0x77
    /// `r`: the signal that stops it, as `d` has it, but it stays wanted up. s6's.
    case restart = 0x72
    /// `R`: the signal that makes it read its configuration again, SIGHUP unless its definition says otherwise. s6's
    /// `l`, which means something else to daemontools-encore.
    case reload = 0x52

    /// The word for it in svc's usage line.
    public var word: StaticString {
        switch self {
        case .up: "up"
        case .down: "down"
        case .once: "once"
        case .exit: "exit"
        case .pause: "pause"
        case .continue: "continue"
        case .hangup: "hup"
        case .alarm: "alarm"
        case .interrupt: "interrupt"
        case .terminate: "term"
        case .kill: "kill"
        case .quit: "quit"
        case .user1: "usr1"
        case .user2: "usr2"
        case .windowChange: "winch"
        case .restart: "restart"
        case .reload: "reload"
        }
    }

    /// Whether daemontools knows it too.
    public var isTraditional: Bool {
        switch self {
        case .quit, .user1, .user2, .windowChange, .restart, .reload: false
        default: true
        }
    }

    /// The signal that is all it means; nil for a command that changes more than that.
    var signal: ServiceSignal? {
        switch self {
        case .hangup: .hangup
        case .alarm: .alarm
        case .interrupt: .interrupt
        case .terminate: .terminate
        case .kill: .kill
        case .quit: .quit
        case .user1: .user1
        case .user2: .user2
        case .windowChange: .windowChange
        case .up, .down, .once, .exit, .pause, .continue, .restart, .reload: nil
        }
    }
}
