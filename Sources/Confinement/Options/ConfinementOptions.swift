import Bytes
import Commands
import Linux

/// What a program is allowed, decided before it starts. One type for every program that starts
/// another, so that an option means the same everywhere; `apply` knows the order.
public struct ConfinementOptions: Sendable {
    /// Limits to be changed, in this order.
    public var limits: [(resource: Resource, change: LimitChange)] = []
    /// Whom to become.
    public var credentials = Credentials()
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
    /// What it and all that it starts may use together.
    var groupLimits = GroupLimits()
    /// What it has for itself, and which files it does not have.
    var sandbox = Sandbox()
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

    /// Confines this process for good, before an exec, or as one that goes on `withoutExec`: then it loses
    /// itself the capabilities that an exec would not have given. With a pid namespace it returns in a copy
    /// of this process, which stays and waits for it. The order is right for every
    /// combination:
    ///
    /// 1. out-of-memory score, nice value, umask, resource limits and the control group, which privilege
    ///    may raise or make, and before a change of user whose process count they limit; the score and the
    ///    group while their files are there;
    /// 2. namespaces and mounts, while CAP_SYS_ADMIN and all files are there;
    /// 3. the root directory, once nothing outside is needed, and while CAP_SYS_CHROOT is there;
    /// 4. the files of Landlock's rules are opened: as the program will see them, by one who may;
    /// 5. the bounding set, which wants CAP_SETPCAP;
    /// 6. groups, group, user, each of which the next would make impossible;
    /// 7. permitted, effective, inheritable, then ambient, which must be in two of them;
    /// 8. securebits, which may forbid all that, and then CAP_SETPCAP, if it was kept for them;
    /// 9. limits on memory that this process needs more of itself until now;
    /// 10. no_new_privs;
    /// 11. Landlock;
    /// 12. the filter, last, since it may forbid all of the above.
    ///
    /// Whatever fails, fails all: the program must not be started.
    public func apply(withoutExec: Bool = false) throws(Failure) {
        let groups = try credentials.supplementaryGroups()
        try setPriorities()
        for (resource, change) in limits where !change.isTight(for: resource) {
            try change.apply(to: resource)
        }
        try groupLimits.enter(waiting: sandbox.hasOwnProcesses ? 2 : 0)
        try sandbox.apply()
        if let root { try changeRoot(root) }
        let ruleset = try landlock?.ruleset()
        let plan = try planCapabilities(withoutExec: withoutExec)
        if let plan { try prepare(plan) }
        try credentials.assume(groups)
        if let plan { try finish(plan) } else { try giveUpCapabilities() }
        let kernelWantsIt = try kernelWantsNoNewPrivileges(ruleset)
        for (resource, change) in limits where change.isTight(for: resource) {
            try change.apply(to: resource)
        }
        if noNewPrivileges || kernelWantsIt { try setNoNewPrivileges() }
        if let ruleset { try restrict(by: ruleset) }
        if let filter { try install(filter) }
    }

    /// Confines this process, called by `call`, and says what it is to become. `account` is whose
    /// variables `--user-env` sets where no user is named.
    public func become(_ invocation: Invocation, _ call: Call, account: Account? = nil)
        throws(Failure) -> Outcome
    {
        if let restart = restart(call) { return restart }
        var invocation = invocation
        try credentials.setVariables(in: &invocation.environment, operand: account)
        return try become(invocation)
    }

    /// Confines this process and says what it is to become.
    func become(_ invocation: Invocation) throws(Failure) -> Outcome {
        var invocation = invocation
        try apply(before: &invocation)
        return .become(invocation)
    }

    /// Confines this process, which is to become `invocation`, and has that be an exec where it matters.
    public func apply(before invocation: inout Invocation) throws(Failure) {
        if sandbox.hasOwnProcesses { invocation.environment.renumber() }
        if limits.contains(where: { $0.change.isTight(for: $0.resource) }) {
            invocation.prepareExec()
        }
        let wasRoot = CurrentProcess.user == 0 && CurrentProcess.effectiveUser == 0
        try apply()
        if execCompletes(wasRoot: wasRoot) { invocation.requireExec() }
    }

    /// The exec that must come first where this process can only go on after one; nil otherwise. A
    /// program of a chain before this one that changed the user without an exec has left this process
    /// with files in /proc that are root's.
    public func restart(_ call: Call) -> Outcome? {
        guard killScore != nil || sandbox.hasOwnUsers, CurrentProcess.hasChangedIDs else {
            return nil
        }
        var again = Invocation(
            "/proc/self/exe", arguments: call.arguments, environment: call.environment)
        again.requireExec()
        return .become(again)
    }

    /// Sets the variables that `--user-env` asks for.
    public func setVariables(in environment: inout Environment) throws(Failure) {
        try credentials.setVariables(in: &environment, operand: nil)
    }

    /// Whether an exec would change the credentials that this process has now, so that the program is
    /// only confined as asked once there has been one.
    ///
    /// An exec computes the capability sets anew. Doing it twice is doing it once, so sets that come
    /// from the last exec need none: those of a process that changed no ids and no sets, and root's
    /// after a change from root to root. Another user has nothing permitted by then, and nothing that an
    /// exec could take away. All else gets its exec, and so do a filter and Landlock, which may have
    /// something to say about it, and a root directory, which may have another program.
    private func execCompletes(wasRoot: Bool) -> Bool {
        if !capabilities.isEmpty || !securebits.isEmpty || filter != nil || landlock != nil
            || root != nil || !sandbox.isEmpty
        {
            return true
        }
        return credentials.user == 0 && !wasRoot
    }
}

extension Environment {
    /// Has variables that name this process name the copy of it that goes on in a pid namespace.
    fileprivate mutating func renumber() {
        let own: ByteString = "\(CurrentProcess.id)"
        for name in ["LISTEN_PID", "WATCHDOG_PID"] as [ByteString] where self[name] == own {
            set(name, "\(CurrentProcess.idAmongOwnProcesses)")
        }
    }
}

// What the process is in the system.
extension ConfinementOptions {
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
extension ConfinementOptions {
    /// The plan for the capability sets; nil where an exec and the kernel's rules for a change from root
    /// to another user do all that is wanted.
    private func planCapabilities(withoutExec: Bool) throws(Failure) -> CapabilityPlan? {
        let change = try userChange()
        if capabilities.isEmpty && securebits.isEmpty && (change == .none || !withoutExec)
            && change != .other
        {
            return nil
        }
        let now: CapabilityState
        do throws(SystemError) { now = try CapabilityState.current() } catch {
            throw error.explained("unable to read capabilities")
        }
        let isRoot = CurrentProcess.user == 0 || CurrentProcess.effectiveUser == 0
        return try CapabilityPlan(
            capabilities, from: now, runsAsRoot: credentials.user.map { $0 == 0 } ?? isRoot,
            change: change, known: CapabilitySet.known, securebits: securebits,
            withoutExec: withoutExec)
    }

    /// Who names a user gets one without capabilities, also where this process is that user already;
    /// but root remains root.
    private func userChange() throws(Failure) -> UserChange {
        guard let user = credentials.user else { return .none }
        let users: ProcessIDs
        do throws(SystemError) { users = try CurrentProcess.users() } catch {
            throw error.explained("unable to read user ids")
        }
        if user == 0 { return users.areAll(0) ? .none : .other }
        return users.include(0) ? .fromRoot : .other
    }

    /// Gives up what another user than root still holds because the securebit `no_setuid_fixup` is set.
    private func giveUpCapabilities() throws(Failure) {
        guard let user = credentials.user, user != 0 else { return }
        do throws(SystemError) {
            if try CapabilityState.currentPermitted().isEmpty { return }
            var sets = try CapabilityState.current()
            // The ambient set loses what is no longer permitted.
            (sets.permitted, sets.effective) = ([], [])
            try sets.setProcessSets()
        } catch { throw error.explained("unable to set capabilities") }
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
extension ConfinementOptions {
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
