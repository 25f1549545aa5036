import Bytes

/// Who ends first: a stop in order.
extension Conductor {
    /// Tells those services to end for which nobody that waited for them is left; bundles last, since they say who
    /// waited for whom.
    mutating func stopNext(at now: Moment) -> [Action] {
        var actions: [Action] = []
        while stop != nil {
            let (step, isAnyGone) = stopFollowers(at: now)
            actions += step
            // What came before those is next; nothing else may happen to remind of it.
            if !isAnyGone { break }
        }
        return actions
    }

    private mutating func stopFollowers(at now: Moment) -> (actions: [Action], isAnyGone: Bool) {
        if order.isStale { remakeOrder() }
        // One that goes takes what is known of the order with it.
        let order = order
        guard order.graph != nil else { return (dismissAll(at: now), false) }
        var actions: [Action] = []
        var isAnyLeft = false
        var isAnyOnItsWay = false
        var isAnyGone = false
        for index in services.indices {
            let id = ServiceID(index)
            guard case .main = services.places[index]?.standing,
                let machine = services.places[index]?.machine
            else { continue }
            if machine.pid == 0 && definitions[id]?.kind == .bundle { continue }
            if machine.isLeaving {
                isAnyLeft = true
                isAnyOnItsWay = true
            } else if hasFollowers(id, order) {
                isAnyLeft = true
            } else {
                actions += dismiss(id, at: now)
                isAnyOnItsWay = true
                if services[index] != nil { isAnyLeft = true } else { isAnyGone = true }
            }
        }
        if !isAnyLeft { return (actions + dismissAll(at: now), false) }
        if isAnyOnItsWay { return (actions, isAnyGone) }
        // Those that wait for one another in a circle would do so for ever.
        let circle = lastCircle(order)
        for id in circle { actions += dismiss(id, at: now) }
        return (circle.isEmpty ? actions + dismissAll(at: now) : actions, false)
    }

    private func hasFollowers(_ id: ServiceID, _ order: ServiceOrder) -> Bool {
        (order.followers[id] ?? []).contains { isThere($0) }
    }

    /// Whether it has a process, or is going to get one that tidies up, or is done and so the reason for what followed.
    private func isThere(_ id: ServiceID) -> Bool {
        guard let machine = services[id.index]?.machine else { return false }
        if machine.state == .done && !machine.isLeaving && definitions[id]?.kind != .bundle {
            return true
        }
        return machine.pid != 0 || machine.state == .starting || machine.mustUndo
            || machine.isHelperDue
    }

    /// Services that wait for one another in a circle and for nobody else, where each that is left waits for some.
    private func lastCircle(_ order: ServiceOrder) -> [ServiceID] {
        let first = order.followers.keys.filter {
            services[$0.index] != nil && hasFollowers($0, order)
        }
        .min { $0.index < $1.index }
        guard var first else { return [] }
        while true {
            // All that it waits for, and those of them that wait for it in turn.
            let waits = order.closure(of: first) { order.followers[$0]?.filter(isThere) ?? [] }
            var waiting: [ServiceID: [ServiceID]] = [:]
            for id in waits {
                for follower in order.followers[id] ?? [] {
                    waiting[follower, default: []].append(id)
                }
            }
            let circle = Set(order.closure(of: first) { waiting[$0] ?? [] })
            guard let outside = waits.first(where: { !circle.contains($0) }) else {
                return waits.filter { services[$0.index]?.machine.isLeaving == false }
            }
            first = outside
        }
    }

    /// Tells all services to end, whatever their order.
    mutating func dismissAll(at now: Moment) -> [Action] {
        var actions: [Action] = []
        for index in services.indices {
            guard let service = services[index], !service.machine.isLeaving else { continue }
            if case .main = service.standing { actions += dismiss(ServiceID(index), at: now) }
        }
        return actions
    }
}
