import Bytes
import Formats

/// Who may start when, and who ends first.
extension Conductor {
    /// What a service asks for.
    func definition(of id: ServiceID) -> ServiceDefinition { definitions[id] ?? .plain }

    mutating func setDefinition(_ definition: ServiceDefinition?, of id: ServiceID) {
        if definitions[id] == definition { return }
        if definitions[id]?.kind == .bundle { _ = services[id.index]?.machine.setDone(false) }
        definitions[id] = definition
        if mayHaveOrder { loseOrder() }
    }

    mutating func forget(_ id: ServiceID) {
        definitions[id] = nil
        texts[id] = nil
        companions[id] = nil
        if mayHaveOrder { loseOrder() }
    }

    /// Whether anybody says anything about others, or did before.
    var mayHaveOrder: Bool {
        order.graph != nil || order.isStale || definitions.values.contains { $0.hasOrder }
    }

    /// What is known of the order is not true any more: a service has come or gone, or its name or definition changed.
    mutating func loseOrder() {
        order = ServiceOrder(complaints: order.complaints, mayRelease: order.mayRelease)
    }

    /// Notes what may be of importance to those that wait.
    mutating func noteChange(of id: ServiceID, _ before: ServiceMachine, at now: Moment) {
        guard let machine = services[id.index]?.machine else { return }
        if machine.isReady != before.isReady {
            services[id.index]?.readySince = machine.isReady ? now.timeOfDay : nil
        }
        if machine.state != .blocked { services[id.index]?.isShownBlocked = false }
        if machine.isReady != before.isReady || machine.state != before.state
            || machine.wish != before.wish
        {
            order.mayRelease = true
        }
    }

    /// The name by which others know a service: its entry's, as last seen.
    func orderName(of id: ServiceID) -> ByteString {
        guard case .main(let pair) = services[id.index]?.standing else { return "" }
        return pairs[pair.index]?.path ?? ""
    }

    // MARK: - Starting in order

    /// Starts what waits for others that are there by now. Nothing is started the first time before all that the scan
    /// directory holds is known: somebody may want to come before it.
    mutating func releaseBlocked(at now: Moment) -> [Action] {
        var actions: [Action] = []
        while stop == nil, order.isStale || order.mayRelease {
            if !isScanSettled(at: now) {
                return actions + releaseKnown(at: now) + showBlocked()
            }
            actions += bringOrderUpToDate(at: now)
            order.mayRelease = false
            for index in services.indices where services[index]?.machine.state == .blocked {
                if isFree(ServiceID(index)) {
                    actions += tell(ServiceID(index), .released, at: now)
                }
            }
        }
        return actions + showBlocked() + updateBundles()
    }

    /// A bundle is done when all that it stands for is there.
    private mutating func updateBundles() -> [Action] {
        guard let graph = order.graph else { return [] }
        var actions: [Action] = []
        for index in services.indices where definitions[ServiceID(index)]?.kind == .bundle {
            let name = orderName(of: ServiceID(index))
            let isDone =
                !graph.isBroken(name)
                && graph.prerequisites(of: name).allSatisfy {
                    guard let id = order.ids[$0.name] else { return false }
                    return services[id.index]?.machine.isReady == true
                }
            guard services[index]?.machine.setDone(isDone) == true, let service = services[index],
                service.isOpen
            else { continue }
            order.mayRelease = true
            actions.append(.writeStatus(ServiceID(index), service.status("")))
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
                actions += tell(ServiceID(index), .released, at: now)
            }
        }
        return actions
    }

    /// Writes the status of those that have to wait.
    private mutating func showBlocked() -> [Action] {
        services.indices.flatMap { show(ServiceID($0)) }
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

    func isScanSettled(at now: Moment) -> Bool {
        let inUse = namesInUse()
        return !pairs.places.contains { pair in
            guard let pair, pair.isPresent else { return false }
            if pair.isBeingCompleted { return true }
            if let id = pair.service, services[id.index]?.isOpen == false { return true }
            guard pair.filling == nil, let due = completionTime(of: pair, inUse) else {
                return false
            }
            return due <= now.nanoseconds
        }
    }

    /// Makes the order anew if it has to be; says what is wrong with it, once, and brings up what is needed.
    private mutating func bringOrderUpToDate(at now: Moment) -> [Action] {
        guard order.isStale else { return [] }
        remakeOrder()
        guard let graph = order.graph else { return [] }
        var complaints: Set<ByteString> = []
        var actions: [Action] = []
        for problem in graph.problems {
            let text: ByteString = "\(problem.name): \(problem.setting): \(problem.text)"
            complaints.insert(text)
            if !order.complaints.contains(text) {
                let id = order.ids[problem.name]
                actions.append(.say(Remark(.warning, text, program: id, problem: problem)))
            }
        }
        order.complaints = complaints
        for index in services.indices where services[index]?.machine.wish == .up {
            services[index]?.isShownBlocked = false
            actions += bringUpNeeds(of: ServiceID(index), isAsked: false, at: now)
        }
        return actions
    }

    mutating func remakeOrder() {
        var names: [(name: ByteString, id: ServiceID)] = []
        let present = Set(pairs.places.compactMap { $0?.isPresent == true ? $0?.path : nil })
        for case .some(let pair) in pairs.places {
            guard let id = pair.service, services[id.index]?.isOpen == true else { continue }
            // What has lost its name to another is on its way out, and nobody waits for it.
            if pair.isPresent || !pair.isReplaced && !present.contains(pair.path) {
                names.append((name: pair.path, id: id))
            }
        }
        order = ServiceOrder(
            names, others: present, definitions, complaints: order.complaints)
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
            if machine.isReady { continue }
            switch prerequisite.relation {
            case .needs: return false
            case .wants, .after: if machine.isComing { return false }
            }
        }
        return true
    }

    // MARK: - Commands that reach others

    /// What a command to a bundle, or to one that needs others, means; nil where it means nothing but itself.
    mutating func obeyForOthers(_ command: Command, _ id: ServiceID, at now: Moment) -> [Action]? {
        guard let graph = order.graph else { return nil }
        let isBundle = definitions[id]?.kind == .bundle
        switch command {
        case .up, .once:
            var actions = bringUpNeeds(of: id, isAsked: true, at: now)
            if !isBundle { return actions + tell(id, .command(command), at: now) }
            for name in graph.closure(of: orderName(of: id)) {
                if let member = order.ids[name], member != id {
                    actions += bringUp(member, isAsked: true, at: now)
                }
            }
            return actions
        case .exit: return nil
        default:
            guard isBundle else { return nil }
            var actions: [Action] = []
            for name in definitions[id]?.contents ?? [] {
                if let member = order.ids[name], member != id {
                    actions += obey(command, member, at: now)
                }
            }
            return actions
        }
    }

    /// Brings up what a service needs. What somebody put down stays down unless it `isAsked` for.
    private mutating func bringUpNeeds(of id: ServiceID, isAsked: Bool, at now: Moment) -> [Action]
    {
        let name = orderName(of: id)
        guard let graph = order.graph, order.prerequisites[id] != nil, !graph.isBroken(name) else {
            return []
        }
        var actions: [Action] = []
        for name in graph.closure(of: name) {
            if let other = order.ids[name], other != id {
                actions += bringUp(other, isAsked: isAsked, at: now)
            }
        }
        return actions
    }

    private mutating func bringUp(_ id: ServiceID, isAsked: Bool, at now: Moment) -> [Action] {
        guard let machine = services[id.index]?.machine, definitions[id]?.kind != .bundle,
            machine.wish != .up, !machine.isLeaving,
            isAsked || machine.state == .down && machine.reason == .none
        else { return [] }
        return tell(id, .command(.up), at: now)
    }

    // MARK: - What an end means to others

    /// Does what a definition wants done when the service ends or fails, and tells people.
    mutating func take(_ report: ServiceReport, from id: ServiceID, at now: Moment) -> [Action] {
        guard let service = services[id.index] else { return [] }
        let definition = definition(of: id)
        var actions: [Action] = []
        if let remark = Remark.of(report, service, definition) { actions.append(.say(remark)) }
        switch report {
        case .ended(let death, _, let next):
            let isFailure =
                !RestartPolicy.isSuccess(death, definition)
                && !(service.machine.isExpected && RestartPolicy.isClean(death, definition))
            let consequence = isFailure ? definition.onFailure : definition.onEnd
            actions += follow(consequence, id, at: now)
            if next == nil { actions += endIfEssential(id, death, at: now) }
        case .failed:
            actions += follow(definition.onFailure, id, at: now)
            actions += endIfEssential(id, service.machine.lastDeath, at: now)
        case .killed, .late, .silent: break
        }
        return actions
    }

    private mutating func follow(
        _ consequence: ServiceDefinition.Consequence, _ id: ServiceID, at now: Moment
    ) -> [Action] {
        guard stop == nil else { return [] }
        var actions: [Action] = []
        switch consequence {
        case .nothing: break
        case .run(let name):
            if let hook = serviceID(named: name), hook != id {
                actions += tell(hook, .command(.once), at: now)
            }
        case .restartDependents:
            guard let graph = order.graph else { break }
            for name in graph.dependents(on: orderName(of: id)) {
                if let dependent = order.ids[name], dependent != id {
                    actions += tell(dependent, .restart, at: now)
                }
            }
        }
        return actions
    }

    private func serviceID(named name: ByteString) -> ServiceID? {
        pairs.places.first { $0?.path == name && $0?.isPresent == true }??.service
    }

    /// A service without which the rest makes no sense takes the rest with it.
    private mutating func endIfEssential(_ id: ServiceID, _ death: Death?, at now: Moment)
        -> [Action]
    {
        guard definition(of: id).isEssential, stop == nil else { return [] }
        let code = death?.shellCode ?? 1
        essentialCode = services[id.index]?.machine.state == .failed && code == 0 ? 1 : code
        return beginStop(.exit, .terminate, at: now)
    }

    // MARK: - Ending in order

    /// Tells those services to end for which nobody that waited for them is left; bundles last, since they say who
    /// waited for whom.
    mutating func stopNext(at now: Moment) -> [Action] {
        guard stop != nil else { return [] }
        if order.isStale { remakeOrder() }
        // One that goes takes what is known of the order with it.
        let order = order
        guard order.graph != nil else { return dismissAll(at: now) }
        var actions: [Action] = []
        var isAnyLeft = false
        var isAnyOnItsWay = false
        var isAnyGone = false
        for index in services.indices {
            let id = ServiceID(index)
            guard let service = services[index], case .main = service.standing else { continue }
            if definitions[id]?.kind == .bundle { continue }
            if service.machine.isLeaving {
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
        // What came before those is next; nothing else may happen to remind of it.
        if isAnyGone && isAnyLeft { return actions + stopNext(at: now) }
        // Those that wait for one another in a circle would do so for ever.
        if !isAnyLeft || !isAnyOnItsWay { actions += dismissAll(at: now) }
        return actions
    }

    private func hasFollowers(_ id: ServiceID, _ order: ServiceOrder) -> Bool {
        (order.followers[id] ?? []).contains { follower in
            guard let machine = services[follower.index]?.machine else { return false }
            // What is done was the reason for what followed it.
            if machine.state == .done, !machine.isLeaving, definitions[follower]?.kind != .bundle {
                return true
            }
            return machine.pid != 0 || machine.state == .starting || machine.mustUndo
                || machine.isHelperDue
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
