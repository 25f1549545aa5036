import Bytes
import Commands
import Linux

/// The capability lists that the user gave; nil where none was.
public struct CapabilityLists: Equatable, Sendable {
    /// `--bounding`: what the program and everything it starts may ever hold.
    public var bounding: CapabilityList?
    /// `--caps`: what the program holds.
    public var permitted: CapabilityList?
    /// `--inheritable`: the inheritable set as it is to be.
    public var inheritable: CapabilityList?
    /// `--ambient`: what the program holds and hands on though it is not root.
    public var ambient: CapabilityList?

    /// No list.
    public init() {}

    /// Whether there is none.
    public var isEmpty: Bool {
        bounding == nil && permitted == nil && inheritable == nil && ambient == nil
    }
}

/// What becomes of the user ids before the program starts.
enum UserChange: CaseIterable {
    /// They stay.
    case none
    /// From root to another user: the kernel clears what is permitted, effective and ambient.
    case fromRoot
    /// Any other change, from a user who may change it; the kernel lets the new user have all.
    case other
}

/// The sets to be had just before exec, so that what is asked for is what the program has after it.
///
/// exec gives root (real or effective user 0, unless securebits say otherwise) the inheritable and
/// the bounding set, whatever was permitted before; it gives everybody else the ambient set. So a
/// limit on root is a limit on those two, and a capability for anybody else has to be ambient, which
/// wants it permitted and inheritable too. Nothing here makes a system call.
struct CapabilityPlan: Equatable {
    /// The sets just before exec.
    private(set) var target: CapabilityState
    /// What is needed to get there besides, to be given up last: CAP_SETPCAP, for securebits.
    private(set) var scaffold: CapabilitySet = []
    /// Whether permitted capabilities must survive the change from root to another user.
    private(set) var keepsPermitted = false
    /// What the bounding set loses.
    private(set) var droppedFromBounding: CapabilitySet = []
    /// Whether the ambient set has to be touched; what it loses with the others, it loses by itself.
    private(set) var changesAmbient = false

    /// Plans for a process in the state `now` that runs the program as root or not, with securebits
    /// added, and perhaps changes its user before. Another user keeps only what a list says. Where the
    /// process goes on `withoutExec`, it loses itself what an exec would not give. What contradicts
    /// itself fails with exit code 100, what this process lacks with 111.
    init(
        _ lists: CapabilityLists, from now: CapabilityState, runsAsRoot: Bool,
        change: UserChange, known: CapabilitySet, securebits: Securebits = [],
        withoutExec: Bool = false
    ) throws(Failure) {
        let rootIsOrdinary = now.rootIsOrdinary || securebits.contains(.noRoot)
        let isRoot = runsAsRoot && !rootIsOrdinary
        target = now
        target.bounding = (lists.bounding?.applied(to: now.bounding, all: known) ?? now.bounding)
            .intersection(now.bounding)

        let all = now.permitted.intersection(target.bounding)
        let permitted = lists.permitted?.applied(to: now.permitted, all: all)
        if let permitted {
            try CapabilityPlan.require(
                permitted, within: now.permitted.intersection(now.bounding))
            try CapabilityPlan.forbid(permitted.subtracting(target.bounding), "--caps")
            if isRoot { target.bounding.formIntersection(permitted) }
        }
        try planInheritable(lists, now, all)
        try planAmbient(lists, now, all, isRoot ? nil : permitted, change)

        if let permitted {
            target.permitted = permitted
        } else if change != .none && !isRoot {
            target.permitted = target.ambient
        }
        if withoutExec {
            target.permitted.formIntersection(isRoot ? target.bounding : target.ambient)
        }
        if permitted != nil || change != .none || withoutExec {
            target.effective = target.permitted
        }
        if !securebits.isEmpty {
            scaffold = now.permitted.intersection(CapabilitySet(.changeSets))
        }
        // What becomes inheritable has to be permitted at that moment.
        let needed = target.permitted.union(scaffold)
            .union(target.inheritable.subtracting(now.inheritable))
        keepsPermitted = change == .fromRoot && !needed.isEmpty
        droppedFromBounding = now.bounding.subtracting(target.bounding)
        changesAmbient = change != .none || target.ambient != now.ambient
    }

    private mutating func planInheritable(
        _ lists: CapabilityLists, _ now: CapabilityState, _ all: CapabilitySet
    ) throws(Failure) {
        guard let list = lists.inheritable else {
            // `--caps` says all that is held: what was inheritable before is no part of it.
            target.inheritable =
                lists.permitted != nil ? [] : now.inheritable.intersection(target.bounding)
            return
        }
        target.inheritable = list.applied(to: now.inheritable, all: all)
        try CapabilityPlan.require(
            target.inheritable, within: now.permitted.union(now.inheritable))
        try CapabilityPlan.forbid(
            target.inheritable.subtracting(target.bounding), "--inheritable")
    }

    private mutating func planAmbient(
        _ lists: CapabilityLists, _ now: CapabilityState, _ all: CapabilitySet,
        _ permitted: CapabilitySet?, _ change: UserChange
    ) throws(Failure) {
        if let list = lists.ambient {
            target.ambient = list.applied(to: now.ambient, all: all)
            if let permitted, permitted != target.ambient {
                throw Failure(
                    "--caps and --ambient differ, and the user is not root", exitCode: 100)
            }
        } else if let permitted {
            target.ambient = permitted
        } else {
            target.ambient =
                change == .none ? now.ambient.intersection(target.inheritable) : []
            return
        }
        try CapabilityPlan.require(target.ambient, within: now.permitted)
        try CapabilityPlan.forbid(target.ambient.subtracting(target.bounding), "--ambient")
        if lists.inheritable == nil {
            target.inheritable.formUnion(target.ambient)
        } else {
            try CapabilityPlan.forbid(
                target.ambient.subtracting(target.inheritable), "--ambient")
        }
    }

    private static func require(_ set: CapabilitySet, within available: CapabilitySet)
        throws(Failure)
    {
        let missing = set.subtracting(available)
        if !missing.isEmpty { throw Failure("not held by this process: \(missing.names)") }
    }

    private static func forbid(_ excess: CapabilitySet, _ option: StaticString) throws(Failure) {
        if excess.isEmpty { return }
        throw Failure(
            "\(option) has what other options take away: \(excess.names)", exitCode: 100)
    }
}
