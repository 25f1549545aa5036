import Linux

/// What a program is allowed, decided before it starts. One type for every program that starts
/// another, so that an option means the same everywhere; `apply` knows the order.
public struct Options: Sendable {
    /// A soft limit to be set.
    public enum SoftLimit: Equatable, Sendable {
        /// As high as the hard limit.
        case hard
        /// This much; the hard limit if it is lower.
        case value(UInt64)
    }

    /// Soft limits, set in this order.
    public var limits: [(resource: Resource, limit: SoftLimit)] = []
    /// Whom to become; the account's primary group becomes the only group.
    public var account: Account?
    /// Capability sets to be changed.
    public var capabilities = CapabilityLists()
    /// Whether set-user-ID bits and file capabilities lose their effect.
    public var noNewPrivileges = false
    /// The system calls that are allowed.
    public var filter: SystemCallFilter?

    /// No confinement.
    public init() {}

    /// Confines this process for good. The order is right for every combination:
    ///
    /// 1. resource limits, before a change of user whose process count they limit;
    /// 2. the bounding set, which wants CAP_SETPCAP;
    /// 3. groups, group, user, each of which the next would make impossible;
    /// 4. permitted, effective, inheritable, then ambient, which must be in two of them;
    /// 5. limits on memory, once this process needs no more of it;
    /// 6. no_new_privs;
    /// 7. the filter, last, since it may forbid all of the above.
    ///
    /// Whatever fails, fails all: the program must not be started.
    public func apply() throws(Failure) {
        for (resource, limit) in limits where !resource.isMemory { try set(resource, limit) }
        let plan = try planCapabilities()
        if let plan { try prepare(plan) }
        if let account { try become(account) }
        if let plan { try finish(plan) }
        let filterNeedsIt = try filterNeedsNoNewPrivileges()
        for (resource, limit) in limits where resource.isMemory { try set(resource, limit) }
        if noNewPrivileges || filterNeedsIt { try setNoNewPrivileges() }
        if let filter { try install(filter) }
    }

    /// Confines this process and says what it is to become.
    public func become(_ invocation: Invocation) throws(Failure) -> Outcome {
        var invocation = invocation
        if limitsMemoryTightly { invocation.prepareExec() }
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
    /// exec has nothing to take away. All else gets its exec, and so does a filter, which may have
    /// something to say about it.
    private func execCompletes(wasRoot: Bool) throws(Failure) -> Bool {
        if !capabilities.isEmpty || filter != nil { return true }
        guard let account else { return false }
        if account.user == 0 { return !wasRoot }
        if CurrentProcess.user == 0 || CurrentProcess.effectiveUser == 0 { return true }
        do throws(SystemError) { return try !CapabilityState.currentPermitted().isEmpty } catch {
            throw error.explained("unable to read capabilities")
        }
    }

    /// Whether this process might have too little memory itself to go on as the next program.
    private var limitsMemoryTightly: Bool {
        limits.contains { resource, limit in
            guard resource.isMemory, case .value(let bytes) = limit else { return false }
            return bytes < 16 << 20
        }
    }

    private func set(_ resource: Resource, _ limit: SoftLimit) throws(Failure) {
        var limits: ResourceLimits
        do throws(SystemError) { limits = try resource.limits() } catch {
            throw error.explained("getrlimit failed")
        }
        switch limit {
        case .hard: limits.soft = limits.hard
        case .value(let value): limits.soft = min(value, limits.hard)
        }
        do throws(SystemError) { try resource.setLimits(limits) } catch {
            throw error.explained("setrlimit failed")
        }
    }

    private func become(_ account: Account) throws(Failure) {
        do throws(SystemError) {
            try CurrentProcess.setGroups([account.group])
            try CurrentProcess.setGroup(account.group)
        } catch { throw error.explained("unable to setgid") }
        do throws(SystemError) { try CurrentProcess.setUser(account.user) } catch {
            throw error.explained("unable to setuid")
        }
    }
}

// Capabilities.
extension Options {
    private func planCapabilities() throws(Failure) -> CapabilityPlan? {
        if capabilities.isEmpty { return nil }
        let now: CapabilityState
        do throws(SystemError) { now = try CapabilityState.current() } catch {
            throw error.explained("unable to read capabilities")
        }
        let isRoot = CurrentProcess.user == 0 || CurrentProcess.effectiveUser == 0
        let runsAsRoot = account.map { $0.user == 0 } ?? isRoot
        return try CapabilityPlan(
            capabilities, from: now, runsAsRoot: runsAsRoot, leavesRoot: isRoot && !runsAsRoot,
            known: CapabilitySet.known)
    }

    private func prepare(_ plan: CapabilityPlan) throws(Failure) {
        try CapabilityState.dropFromBounding(plan.droppedFromBounding)
        if !plan.keepsPermitted { return }
        do throws(SystemError) { try CurrentProcess.keepCapabilities() } catch {
            throw error.explained("unable to keep capabilities")
        }
    }

    private func finish(_ plan: CapabilityPlan) throws(Failure) {
        do throws(SystemError) { try plan.target.setProcessSets() } catch {
            throw error.explained("unable to set capabilities")
        }
        if plan.changesAmbient { try plan.target.setAmbient() }
    }
}

// What cannot be undone by an exec.
extension Options {
    private func setNoNewPrivileges() throws(Failure) {
        do throws(SystemError) { try CurrentProcess.setNoNewPrivileges() } catch {
            throw error.explained("unable to set no_new_privs")
        }
    }

    /// The kernel takes a filter only from a process that can gain no privileges, or may do anything
    /// anyway; else a program could be tricked by the calls that fail it.
    private func filterNeedsNoNewPrivileges() throws(Failure) -> Bool {
        if filter == nil { return false }
        do throws(SystemError) {
            return try !CapabilityState.currentEffective().contains(.systemAdministration)
        } catch { throw error.explained("unable to read capabilities") }
    }

    private func install(_ filter: SystemCallFilter) throws(Failure) {
        do throws(SystemError) { try filter.install() } catch {
            throw error.explained("unable to install the system call filter")
        }
    }
}
