import Bytes
import Commands
import Linux

/// What the kernel does when a system call is made: a SECCOMP_RET_* value of seccomp(2).
struct FilterAction: Equatable, Sendable {
    let rawValue: UInt32

    static let allow = FilterAction(rawValue: 0x7fff_0000)
    static let log = FilterAction(rawValue: 0x7ffc_0000)
    static let trap = FilterAction(rawValue: 0x0003_0000)
    static let killProcess = FilterAction(rawValue: 0x8000_0000)
    static let killThread = FilterAction(rawValue: 0)
    /// A process that listens is told and decides. SECCOMP_RET_USER_NOTIF.
    static let announce = FilterAction(rawValue: 0x7fc0_0000)
    static let noSystemCall = FilterAction.fail(Errno.noSystemCall)

    /// The call is not made and returns -1 with this error number, at most 4095.
    static func fail(_ errno: Errno) -> FilterAction {
        FilterAction(rawValue: 0x0005_0000 | UInt32(truncatingIfNeeded: errno.code))
    }

    /// A tracer is told, with this message; without one the call fails with ENOSYS.
    static func trace(_ message: UInt16) -> FilterAction {
        FilterAction(rawValue: 0x7ff0_0000 | UInt32(message))
    }

    /// The kind of action, without the number that goes with it.
    var kind: UInt32 { rawValue & 0xffff_0000 }

    /// Whether the call fails with an error number.
    var isFailure: Bool { kind == FilterAction.fail(Errno(0)).rawValue }

    /// Whether a tracer is told.
    var isTrace: Bool { kind == FilterAction.trace(0).rawValue }
}

/// One argument of a system call against a value, both as 64 unsigned bits.
struct Comparison: Equatable, Sendable {
    enum Relation: Sendable, CaseIterable {
        case equal, notEqual, less, lessOrEqual, greater, greaterOrEqual
        /// Any bit of the value is set.
        case anyBit
        /// No bit outside the value is set.
        case onlyBits
    }

    /// Counted from 0, at most 5.
    var argument: Int
    var relation: Relation
    var value: UInt64
}

/// An action and when it is taken.
struct Clause: Equatable, Sendable {
    /// Alternatives, each of comparisons that all hold. None at all: always.
    var condition: [[Comparison]] = []
    var action: FilterAction

    var isUnconditional: Bool { condition.isEmpty }
}

/// Which system calls are allowed. The first clause of a call whose condition holds decides; if none
/// does, the default action is taken.
public struct Policy: Equatable, Sendable {
    /// For calls that are not listed and calls of which no clause holds.
    var defaultAction: FilterAction = .killProcess
    /// The clauses of a call, by its number.
    var clauses = ClauseTable()

    /// Older calls, whose flags a filter can see, and newer ones that do the same but keep their flags in
    /// memory, which no filter can read.
    static let twins: [(call: StaticString, twin: StaticString)] = [
        ("clone", "clone3"), ("open", "openat2"), ("openat", "openat2"),
    ]

    /// Makes a twin fail with ENOSYS where the policy looks at the flags of the older call and does not
    /// name the twin, which would get around the condition. The C libraries then use the older call.
    mutating func closeTwins(named: (Int32) -> Bool) {
        for (call, twin) in Policy.twins {
            guard case .number(let call) = SystemCalls.meaning(of: "\(call)"),
                case .number(let twin) = SystemCalls.meaning(of: "\(twin)"),
                clauses[call].contains(where: { !$0.isUnconditional }),
                !named(twin)
            else { continue }
            clauses[twin] = [Clause(action: .noSystemCall)]
        }
    }
}
