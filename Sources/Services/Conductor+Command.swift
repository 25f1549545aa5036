import Bytes

/// A main command that waits for the services.
extension Conductor {
    /// Starts it when each of them is up, or will not be, or its time has come.
    mutating func releaseCommand(at now: Moment) -> [Action] {
        guard configuration.commandWaits, stop == nil, let command,
            services[command.index]?.machine.state == .blocked
        else { return [] }
        let isDue = commandDue.map { $0 <= now.nanoseconds } ?? false
        let areUp = areServicesUp(at: now)
        guard isDue || areUp else { return [] }
        commandDue = nil
        let names = services.indices.filter { isAwaited(ServiceID($0)) }.compactMap {
            services[$0]?.name
        }
        return (areUp ? [] : [.say(.startingWithout(names))]) + tell(command, .released, at: now)
    }

    private mutating func areServicesUp(at now: Moment) -> Bool {
        guard !configuration.hasScanDirectory || scan.directory != nil, !order.isStale,
            isScanSettled(at: now)
        else { return false }
        return !services.indices.contains { isAwaited(ServiceID($0)) }
    }

    /// Whether a service is on its way. One that does not tell when it is ready is up once it was started.
    private func isAwaited(_ id: ServiceID) -> Bool {
        guard let service = services[id.index], case .main = service.standing else { return false }
        let machine = service.machine
        let definition = definition(of: id)
        if !machine.isComing || definition.kind == .bundle { return false }
        if definition.kind == .longrun && definition.readiness == .start && machine.starts > 0 {
            return false
        }
        guard machine.state == .blocked, let graph = order.graph else { return true }
        if graph.isBroken(orderName(of: id)) { return false }
        return (order.prerequisites[id] ?? []).allSatisfy { prerequisite in
            guard prerequisite.relation == .needs else { return true }
            guard let first = prerequisite.id else { return false }
            return services[first.index]?.machine.isReady == true || isAwaited(first)
        }
    }
}
