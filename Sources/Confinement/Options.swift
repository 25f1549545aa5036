import Bytes
import Commands
import Linux

/// What a program is allowed, decided before it starts. One type for every program that starts
/// another, so that an option means the same everywhere; `apply` knows the order.
public struct Options: Sendable {
    /// Limits to be changed, in this order.
    public var limits: [(resource: Resource, change: LimitChange)] = []
    /// Whom to become.
    public var identity = Identity()
    /// Capability sets to be changed.
    public var capabilities = CapabilityLists()
    /// Securebits to be added.
    var securebits: Securebits = []
    /// Whether set-user-ID bits and file capabilities lose their effect.
    public var noNewPrivileges = false
    /// What files and ports may still be reached.
    var landlock: LandlockRules?
    /// The system calls that are allowed.
    public var filter: SystemCallFilter?
    /// The root directory.
    var root: ByteString?
    /// The permissions that new files do not get.
    public internal(set) var umask: UInt32?
    /// The nice value.
    var nice: Int32?
    /// How readily the kernel kills it when memory runs out.
    var killScore: ByteString?

    /// No confinement.
    public init() {}

    /// Confines this process for good, before an exec, or as one that `goesOn` without: then it loses
    /// itself the capabilities that an exec would not have given. The order is right for every
    /// combination:
    ///
    /// 1. out-of-memory score, nice value, umask and resource limits, which privilege may raise, and
    ///    before a change of user whose process count they limit; the score while /proc is there;
    /// 2. the root directory, once nothing outside is needed, and while CAP_SYS_CHROOT is there;
    /// 3. the files of Landlock's rules are opened: as the program will see them, by one who may;
    /// 4. the bounding set, which wants CAP_SETPCAP;
    /// 5. groups, group, user, each of which the next would make impossible;
    /// 6. permitted, effective, inheritable, then ambient, which must be in two of them;
    /// 7. securebits, which may forbid all that, and then CAP_SETPCAP, if it was kept for them;
    /// 8. limits on memory that this process needs more of itself until now;
    /// 9. no_new_privs;
    /// 10. Landlock;
    /// 11. the filter, last, since it may forbid all of the above.
    ///
    /// Whatever fails, fails all: the program must not be started.
    public func apply(goesOn: Bool = false) throws(Failure) {
        let groups = try identity.supplementaryGroups()
        try setPriorities()
        for (resource, change) in limits where !change.isTight(for: resource) {
            try change.apply(to: resource)
        }
        if let root { try changeRoot(root) }
        let ruleset = try landlock?.ruleset()
        let plan = try planCapabilities(goesOn: goesOn)
        if let plan { try prepare(plan) }
        try identity.assume(groups)
        if let plan { try finish(plan) }
        let kernelWantsIt = try kernelWantsNoNewPrivileges(ruleset)
        for (resource, change) in limits where change.isTight(for: resource) {
            try change.apply(to: resource)
        }
        if noNewPrivileges || kernelWantsIt { try setNoNewPrivileges() }
        if let ruleset { try restrict(by: ruleset) }
        if let filter { try install(filter) }
    }

    /// Confines this process and says what it is to become.
    public func become(_ invocation: Invocation) throws(Failure) -> Outcome {
        var invocation = invocation
        if limits.contains(where: { $0.change.isTight(for: $0.resource) }) {
            invocation.prepareExec()
        }
        let wasRoot = CurrentProcess.user == 0 && CurrentProcess.effectiveUser == 0
        try apply()
        if try execCompletes(wasRoot: wasRoot) { invocation.requireExec() }
        return .become(invocation)
    }

    /// Whether an exec would change the credentials that this process has now, so that the program is
    /// only confined as asked once there has been one.
    ///
    /// An exec computes the capability sets anew. Doing it twice is doing it once, so sets that come
    /// from the last exec need none: those of a process that changed no ids and no sets, and root's
    /// after a change from root to root. A user who is root by neither id gets the ambient set; where
    /// nothing is permitted, as after the change from root to another user, nothing is ambient, and
    /// exec has nothing to take away. All else gets its exec, and so do a filter and Landlock, which
    /// may have something to say about it, and a root directory, which may have another program.
    private func execCompletes(wasRoot: Bool) throws(Failure) -> Bool {
        if !capabilities.isEmpty || !securebits.isEmpty || filter != nil || landlock != nil
            || root != nil
        {
            return true
        }
        guard let user = identity.user else { return false }
        if user == 0 { return !wasRoot }
        if CurrentProcess.user == 0 || CurrentProcess.effectiveUser == 0 { return true }
        do throws(SystemError) { return try !CapabilityState.currentPermitted().isEmpty } catch {
            throw error.explained("unable to read capabilities")
        }
    }
}

// What the process is in the system.
extension Options {
    private func setPriorities() throws(Failure) {
        if let killScore {
            do throws(SystemError) {
                let file = try openFile("/proc/self/oom_score_adj", .write)
                try writeAll(file.number, Array(killScore.bytes))
            } catch { throw error.explained("unable to set the out-of-memory score") }
        }
        if let nice {
            do throws(SystemError) { try CurrentProcess.setNice(nice) } catch {
                throw error.explained("unable to set the nice value")
            }
        }
        if let umask { CurrentProcess.setUmask(umask) }
    }

    private func changeRoot(_ path: ByteString) throws(Failure) {
        do throws(SystemError) {
            try changeDirectory(path)
            try CurrentProcess.makeRootOfCurrentDirectory()
        } catch { throw error.explained("unable to change the root directory to \(path)") }
    }
}

// Capabilities.
extension Options {
    private func planCapabilities(goesOn: Bool) throws(Failure) -> CapabilityPlan? {
        if capabilities.isEmpty && securebits.isEmpty && !(goesOn && identity.user != nil) {
            return nil
        }
        let now: CapabilityState
        do throws(SystemError) { now = try CapabilityState.current() } catch {
            throw error.explained("unable to read capabilities")
        }
        let isRoot = CurrentProcess.user == 0 || CurrentProcess.effectiveUser == 0
        let runsAsRoot = identity.user.map { $0 == 0 } ?? isRoot
        return try CapabilityPlan(
            capabilities, from: now, runsAsRoot: runsAsRoot, leavesRoot: isRoot && !runsAsRoot,
            known: CapabilitySet.known, securebits: securebits, goesOn: goesOn)
    }

    private func prepare(_ plan: CapabilityPlan) throws(Failure) {
        try CapabilityState.dropFromBounding(plan.droppedFromBounding)
        if !plan.keepsPermitted { return }
        do throws(SystemError) { try CurrentProcess.keepCapabilities() } catch {
            throw error.explained("unable to keep capabilities")
        }
    }

    private func finish(_ plan: CapabilityPlan) throws(Failure) {
        var sets = plan.target
        sets.permitted.formUnion(plan.scaffold)
        sets.effective.formUnion(plan.scaffold)
        try set(sets)
        if plan.changesAmbient { try sets.setAmbient() }
        if securebits.isEmpty { return }
        try securebits.add()
        if sets != plan.target { try set(plan.target) }
    }

    private func set(_ sets: CapabilityState) throws(Failure) {
        do throws(SystemError) { try sets.setProcessSets() } catch {
            throw error.explained("unable to set capabilities")
        }
    }
}

// What cannot be undone by an exec.
extension Options {
    private func setNoNewPrivileges() throws(Failure) {
        do throws(SystemError) { try CurrentProcess.setNoNewPrivileges() } catch {
            throw error.explained("unable to set no_new_privs")
        }
    }

    /// The kernel takes a filter and Landlock only from a process that can gain no privileges, or may
    /// do anything anyway; else a program could be tricked by the calls that fail it.
    private func kernelWantsNoNewPrivileges(_ ruleset: LandlockRuleset?) throws(Failure) -> Bool {
        if filter == nil && ruleset == nil { return false }
        do throws(SystemError) {
            return try !CapabilityState.currentEffective().contains(.systemAdministration)
        } catch { throw error.explained("unable to read capabilities") }
    }

    private func restrict(by ruleset: LandlockRuleset) throws(Failure) {
        do throws(SystemError) { try ruleset.restrict() } catch {
            throw error.explained("unable to restrict by Landlock")
        }
    }

    private func install(_ filter: SystemCallFilter) throws(Failure) {
        do throws(SystemError) { try filter.install() } catch {
            throw error.explained("unable to install the system call filter")
        }
    }
}
