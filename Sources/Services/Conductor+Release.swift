import Bytes
import Formats

/// Who may start when.
extension Conductor {
    /// Starts what waits for others that are there by now. Nothing is started the first time before all that the scan
    /// directory holds is known: somebody may want to come before it.
    mutating func releaseBlocked(at now: Moment) -> [Action] {
        var actions: [Action] = []
        while stop == nil, order.isToBeLookedAt {
            // To see whether the scan is settled takes long in a great directory.
            if !order.isStale && !isAnyBlocked {
                order.ignoreChanges()
                break
            }
            if !isScanSettled(at: now) {
                order.postpone()
                return actions + releaseKnown(at: now) + showBlocked()
            }
            actions += bringOrderUpToDate(at: now)
            for id in order.candidates(of: services.indices)
            where services.places[id.index]?.machine.state == .blocked && isFree(id) {
                actions += release(id, at: now)
            }
        }
        return actions + showBlocked() + updateBundles(at: now)
    }

    private var isAnyBlocked: Bool {
        services.indices.contains { services.places[$0]?.machine.state == .blocked }
    }

    /// A bundle is done when all that it stands for is there.
    private mutating func updateBundles(at now: Moment) -> [Action] {
        guard let graph = order.graph else { return [] }
        var actions: [Action] = []
        for id in order.bundles {
            let name = orderName(of: id)
            let isDone =
                !graph.isBroken(name)
                && graph.prerequisites(of: name).allSatisfy {
                    guard let id = order.ids[$0.name] else { return false }
                    return services[id.index]?.machine.isReady == true
                }
            actions += setDone(id, isDone ? now.timeOfDay : nil)
        }
        return actions
    }

    /// Starts again what was there before, where there never was an order.
    private mutating func releaseKnown(at now: Moment) -> [Action] {
        var actions: [Action] = []
        if mayHaveOrder { return [] }
        for index in services.indices {
            guard let machine = services[index]?.machine else { continue }
            if machine.state == .blocked && machine.starts > 0 {
                actions += release(ServiceID(index), at: now)
            }
        }
        return actions
    }

    /// Starts one for which all is there, or waits for the connection that starts it.
    private mutating func release(_ id: ServiceID, at now: Moment) -> [Action] {
        guard definition(of: id).awaitsConnection else { return tell(id, .released, at: now) }
        switch services[id.index]?.connection {
        case .come: return tell(id, .released, at: now)
        case .awaited, nil: return []
        case .unasked: break
        }
        services[id.index]?.connection = .awaited
        services[id.index]?.machine.reason = .connection
        services[id.index]?.isShownBlocked = false
        order.unshown.append(id)
        // Others can connect to it from now on.
        order.noteChange(of: id)
        return [.awaitConnection(id)]
    }

    mutating func noteConnection(to id: ServiceID) -> [Action] {
        guard services[id.index]?.connection == .awaited else { return [] }
        services[id.index]?.connection = .come
        services[id.index]?.machine.reason = .none
        order.noteChange(of: id)
        return []
    }

    /// Writes the status of those that have to wait.
    private mutating func showBlocked() -> [Action] {
        if order.unshown.isEmpty { return [] }
        let waiting = order.unshown
        order.unshown = []
        return waiting.flatMap { show($0) }
    }

    private mutating func show(_ id: ServiceID) -> [Action] {
        guard let service = services[id.index], service.machine.state == .blocked,
            service.isOpen, !service.isShownBlocked
        else { return [] }
        services[id.index]?.isShownBlocked = true
        // It may take long until it is started.
        services[id.index]?.isChecked = false
        if order.graph?.isBroken(orderName(of: id)) == true {
            services[id.index]?.machine.reason = .dependency
        }
        return [.writeStatus(id, (services[id.index] ?? service).status(texts[id] ?? ""))]
    }

    /// Whether all that the scan directory holds is known. As long as it is not, mostly the pair that was missing the
    /// last time is still missing, so that one is looked at first, and those that come after it next.
    mutating func isScanSettled(at now: Moment) -> Bool {
        let first = min(unsettled.place, pairs.indices.upperBound)
        var inUse: Set<ByteString>?
        for range in [first..<pairs.indices.upperBound, 0..<first] {
            for index in range where !isSettled(index, &inUse, at: now) {
                unsettled.place = index
                return false
            }
        }
        return true
    }

    /// Whether what a pair holds is supervised, or is not to be yet.
    private func isSettled(_ index: Int, _ inUse: inout Set<ByteString>?, at now: Moment) -> Bool {
        guard pairs.places[index]?.isPresent == true else { return true }
        if pairs.places[index]?.isBeingCompleted == true { return false }
        if let id = pairs.places[index]?.service, services.places[id.index]?.isOpen == false {
            return false
        }
        guard pairs.places[index]?.isUnfinished == true, let pair = pairs.places[index],
            pair.filling == nil
        else { return true }
        let names = inUse ?? namesInUse()
        inUse = names
        guard let due = completionTime(of: pair, names) else { return true }
        return due > now.nanoseconds
    }

    /// Whether all that must come first is there.
    private func isFree(_ id: ServiceID) -> Bool {
        if services[id.index]?.standing == .command { return false }
        guard let graph = order.graph else { return true }
        if definitions[id]?.kind == .bundle { return false }
        if graph.isBroken(orderName(of: id)) { return false }
        for prerequisite in order.prerequisites[id] ?? [] {
            guard let first = prerequisite.id, let machine = services[first.index]?.machine else {
                if prerequisite.relation == .needs { return false }
                continue
            }
            if machine.isReady || services[first.index]?.connection == .awaited { continue }
            switch prerequisite.relation {
            case .needs: return false
            case .wants, .after: if machine.isComing { return false }
            }
        }
        return true
    }
}
