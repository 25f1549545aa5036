import Bytes
import Formats

/// What services say of themselves, and what their directories say anew.
extension Conductor {
    /// The process of a service; 0 while there is none.
    public func process(of id: ServiceID) -> Int32 { services[id.index]?.machine.pid ?? 0 }

    /// The service that a process belongs to.
    public func service(of pid: Int32) -> ServiceID? { processes[pid] }

    /// Whether a service is ready.
    public func isReady(_ id: ServiceID) -> Bool { services[id.index]?.machine.isReady == true }

    /// How many descriptors a service may leave with its supervisor.
    public func storeLimit(of id: ServiceID) -> UInt32 { definition(of: id).storeLimit }

    /// Whether a process is the service's own.
    public func isProcess(_ pid: Int32, of id: ServiceID) -> Bool { processes[pid] == id }

    mutating func hear(_ notice: ServiceNotice, from id: ServiceID, at now: Moment) -> [Action] {
        switch notice {
        case .reloading: return tell(id, .reloading, at: now)
        case .stopping: return tell(id, .stopping, at: now)
        case .pinged: return tell(id, .pinged, at: now)
        case .troubled: return tell(id, .troubled, at: now)
        case .forgiven: return tell(id, .forgiven, at: now)
        case .watchdogPeriod(let period):
            var definition = definition(of: id)
            definition.watchdog = period == 0 ? nil : min(period, StopPlan.longest)
            return setDefinition(definition, of: id) + tell(id, .pinged, at: now)
        case .extended(let time): return tell(id, .extended(time), at: now)
        case .mainProcess(let pid): return noteMove(of: id, to: pid, at: now)
        case .status(let text):
            guard let service = services[id.index], service.isOpen else { return [] }
            texts[id] = ByteString(text.bytes.prefix(StatusDetails.longestText))
            return [.writeStatus(id, service.status(texts[id] ?? ""))]
        }
    }

    /// The process before has left its work to another, and is a stranger from now on.
    private mutating func noteMove(of id: ServiceID, to pid: Int32, at now: Moment) -> [Action] {
        guard let machine = services[id.index]?.machine, case .up(let old) = machine.state,
            pid > 1, pid != old, processes[pid] == nil
        else { return [] }
        processes[old] = nil
        processes[pid] = id
        services[id.index]?.since = now.timeOfDay
        return tell(id, .moved(pid: pid), at: now)
    }

    mutating func noteDefinition(
        _ id: ServiceID, _ definition: ServiceDefinition?, at now: Moment
    ) -> [Action] {
        services[id.index] == nil ? [] : setDefinition(definition, of: id)
    }

    mutating func noteRedefinition(
        _ id: ServiceID, _ definition: ServiceDefinition?, at now: Moment
    ) -> [Action] {
        guard services[id.index] != nil else { return [] }
        let actions = setDefinition(definition, of: id)
        services[id.index]?.isChecked = true
        return actions + tell(id, .postponed, at: now)
    }
}
