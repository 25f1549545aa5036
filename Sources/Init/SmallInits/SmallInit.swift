import Bytes
import Linux

/// An init that runs one command, passes signals on to it, reaps orphans and ends with its status. What they share is in
/// `SmallInitProcess`; where they differ is here.
public enum SmallInit: Sendable {
    /// tini 0.19, also known as docker-init.
    case tini
    /// dumb-init 1.2.5.
    case dumbInit
    /// catatonit 0.1.7.
    case catatonit

    /// The signals that it takes. 32 and 33 belong to the C libraries of the originals, and do to them what they do to
    /// anybody; so do, except to dumb-init, those that tell of a fault.
    var taken: SignalSet {
        let all = SignalSet.all.subtracting(SignalSet(Signal(32), Signal(33)))
        switch self {
        case .tini: return all.subtracting(.faults).subtracting(ignored)
        case .dumbInit: return all
        case .catatonit: return all.subtracting(.faults)
        }
    }

    /// The signals that it ignores, which its child does not unless it did before.
    var ignored: SignalSet {
        self == .tini ? SignalSet(.terminalInput, .terminalOutput) : []
    }

    /// The signals for which the child has the default action, whoever ignored them before.
    var restored: SignalSet { self == .dumbInit ? SignalSet(rawValue: 0x7fff_ffff) : [] }

    /// Whether the child starts with no signal blocked, and not with those that were blocked before.
    var unblocksAll: Bool { self == .dumbInit }

    /// Whether it looks for dead children after each signal, and not only after SIGCHLD.
    var reapsAlways: Bool { self == .tini }

    /// Whether the end of the command ends it at once, without a look at who else has died.
    var endsAtOnce: Bool { self == .dumbInit }

    /// Whether it leaves its directory.
    var leavesDirectory: Bool { self != .tini }

    /// Whether it closes what it was handed beyond the standard descriptors, which the command keeps.
    var closesDescriptors: Bool { self == .catatonit }

    /// Whether LISTEN_PID is made to name the command if it names the init.
    var passesSockets: Bool { self == .catatonit }

    /// The exit code of the child that could not become the command.
    func exitCode(ofExec errno: Errno) -> Int32 {
        switch self {
        case .tini where errno == .noEntry: 127
        case .tini where errno == .accessDenied: 126
        case .dumbInit: 2
        default: 1
        }
    }

    /// Whether the command is run although its group cannot be the terminal's foreground: there is none, or no input.
    static func toleratesTerminal(_ errno: Errno) -> Bool {
        errno == .notTerminal || errno == .noReader || errno == .badDescriptor
    }
}

/// What one of the small inits is asked to do.
public struct SmallInitPlan: Equatable, Sendable {
    /// Whose manner it has.
    var kind: SmallInit
    /// The command with its arguments; empty to run none, and wait for TERM or INT.
    var command: [ByteString] = []
    /// Whether signals go to the command's process group.
    var reachesGroup = false
    /// Whether it adopts orphans where it is not process 1.
    var isSubreaper = false
    /// Whether the command starts a session, with the terminal of its input.
    var startsSession = false
    /// Whether the environment, and not an option, keeps the command in the session that there is.
    var isToldToStay = false
    /// The signal that it gets when its parent ends.
    var parentDeathSignal: Signal?
    /// How much it says, 0 for errors only.
    var verbosity = 0
    /// Whether it says so when it reaps an orphan.
    var tellsOfOrphans = false
    /// Exit codes that become 0.
    var codesToZero: [Int32] = []
    /// What to send in place of a signal, -1 for the same; 0 for nothing. The place is the signal's number, below 32.
    var rewrites = [Int32](repeating: -1, count: 32)

    init(_ kind: SmallInit) { self.kind = kind }

    /// What is passed on for a signal, nil for nothing.
    func translated(_ signal: Signal) -> Signal? {
        let number = isRewritten(signal) ? rewrites[Int(signal.number)] : signal.number
        return number == 0 ? nil : Signal(number)
    }

    /// Whether the line of the command says what is passed on for a signal.
    func isRewritten(_ signal: Signal) -> Bool {
        signal.number < 32 && rewrites[Int(signal.number)] >= 0
    }

    /// Its own exit code when the command ends.
    func exitCode(_ status: ExitStatus) -> Int32 {
        codesToZero.contains(status.shellCode) ? 0 : status.shellCode
    }
}

/// What the command line of a small init comes to.
public enum SmallInitRequest: Equatable, Sendable {
    /// Run it.
    case run(SmallInitPlan)
    /// Write a text to the descriptor, and end.
    case say(ByteString, to: Int32, exitCode: Int32)
}
