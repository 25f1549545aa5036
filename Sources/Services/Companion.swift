/// A program of a service directory that runs beside the service's own process.
public enum Companion: Equatable, Sendable {
    /// runit's `control/LETTER`, asked before the signal of that command is sent.
    case control(UInt8)
    /// encore's `notify`, told that a program with this process was started, or how it ended.
    case notify(ProgramRole, Death?, pid: Int32)

    /// Which of a service's programs encore tells of, by its name for it; nil for another.
    static func isTold(of role: ProgramRole) -> Bool {
        switch role {
        case .run, .prepare, .stop: true
        case .announce, .finish, .undo: false
        }
    }
}

/// What came of an attempt to start a companion.
public enum CompanionOutcome: Equatable, Sendable {
    /// It has this process.
    case started(pid: Int32)
    /// There is no such program, or the kernel refused a process.
    case absent
    /// Too many children are on their way.
    case congested
}
