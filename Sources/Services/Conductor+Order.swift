import Bytes
import Formats

/// Who may start when, and who ends first.
extension Conductor {
    /// What a service asks for.
    func definition(of id: ServiceID) -> ServiceDefinition { definitions[id] ?? .plain }

    mutating func setDefinition(_ definition: ServiceDefinition?, of id: ServiceID) -> [Action] {
        if definitions[id] == definition { return [] }
        let wasBundle = definitions[id]?.kind == .bundle
        definitions[id] = definition
        if services[id.index]?.connection != .unasked {
            services[id.index]?.connection = .unasked
            services[id.index]?.machine.reason = .none
            order.mayRelease = true
        }
        if mayHaveOrder { loseOrder() }
        // What others made of it is no state of its own.
        return wasBundle && definition?.kind != .bundle ? setDone(id, nil) : []
    }

    /// Notes whether all that a bundle stands for is there, by the time of day since when.
    private mutating func setDone(_ id: ServiceID, _ time: TAI64N?) -> [Action] {
        guard services[id.index]?.machine.setDone(time != nil) == true else { return [] }
        services[id.index]?.readySince = time
        order.mayRelease = true
        guard let service = services[id.index], service.isOpen else { return [] }
        return [.writeStatus(id, service.status(""))]
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
        order = ServiceOrder(replacing: order)
    }

    /// Notes what may be of importance to those that wait.
    mutating func noteChange(of id: ServiceID, _ before: ServiceMachine, at now: Moment) {
        guard let machine = services[id.index]?.machine else { return }
        if machine.isReady != before.isReady {
            services[id.index]?.readySince = machine.isReady ? now.timeOfDay : nil
        }
        if machine.state != .blocked {
            services[id.index]?.isShownBlocked = false
            services[id.index]?.connection = .unasked
        }
        if stop == nil,
            machine.isReady != before.isReady || machine.state != before.state
                || machine.wish != before.wish
        {
            order.noteChange(of: id)
            if machine.state == .blocked { order.unshown.append(id) }
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
            where services[id.index]?.machine.state == .blocked && isFree(id) {
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

    func isScanSettled(at now: Moment) -> Bool {
        var inUse: Set<ByteString>?
        for index in pairs.indices where pairs.places[index]?.isPresent == true {
            if pairs.places[index]?.isBeingCompleted == true { return false }
            if let id = pairs.places[index]?.service,
                services.places[id.index]?.isOpen == false
            {
                return false
            }
            guard pairs.places[index]?.isUnfinished == true, let pair = pairs.places[index],
                pair.filling == nil
            else { continue }
            let names = inUse ?? namesInUse()
            inUse = names
            if let due = completionTime(of: pair, names), due <= now.nanoseconds { return false }
        }
        return true
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
            order.unshown.append(ServiceID(index))
            actions += bringUpNeeds(of: ServiceID(index), order, isAsked: false, at: now)
        }
        return actions
    }

    mutating func remakeOrder() { order = makeOrder() }

    /// The order as services and definitions are now, though people may not have been told of its problems yet.
    private var knownOrder: ServiceOrder { order.isStale ? makeOrder() : order }

    private func makeOrder() -> ServiceOrder {
        var names: [(name: ByteString, id: ServiceID)] = []
        var nameless: [ServiceID] = []
        let present = Set(pairs.places.compactMap { $0?.isPresent == true ? $0?.path : nil })
        for case .some(let pair) in pairs.places {
            guard let id = pair.service, services[id.index]?.isOpen == true else { continue }
            // What has lost its name to another is on its way out, and nobody waits for it.
            if pair.isPresent || !pair.isReplaced && !present.contains(pair.path) {
                names.append((name: pair.path, id: id))
            } else {
                nameless.append(id)
            }
        }
        return ServiceOrder(
            names, nameless: nameless, others: present, definitions, replacing: order)
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

    // MARK: - Commands that reach others

    /// What a command to a bundle, or to one that needs others, means; nil where it means nothing but itself.
    mutating func obeyForOthers(_ command: Command, _ id: ServiceID, at now: Moment) -> [Action]? {
        let order = knownOrder
        guard let graph = order.graph else { return nil }
        let isBundle = definitions[id]?.kind == .bundle
        switch command {
        case .up, .once:
            var actions = bringUpNeeds(of: id, order, isAsked: true, at: now)
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
            // Bundles may contain one another, so what is in them is not found by asking each.
            for name in graph.services(named: orderName(of: id)) {
                if let member = order.ids[name] { actions += obey(command, member, at: now) }
            }
            return actions
        }
    }

    /// Brings up what a service needs. What somebody put down stays down unless it `isAsked` for.
    private mutating func bringUpNeeds(
        of id: ServiceID, _ order: ServiceOrder, isAsked: Bool, at now: Moment
    ) -> [Action] {
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
            actions += follow(consequence, id, isOver: next == nil, at: now)
            if next == nil { actions += endIfEssential(id, death, at: now) }
        case .failed:
            actions += follow(definition.onFailure, id, isOver: true, at: now)
            actions += endIfEssential(id, service.machine.lastDeath, at: now)
        case .killed, .late, .silent: break
        }
        return actions
    }

    /// Another service is run only once this one is over. Those that need it are restarted after each end.
    private mutating func follow(
        _ consequence: ServiceDefinition.Consequence, _ id: ServiceID, isOver: Bool, at now: Moment
    ) -> [Action] {
        guard stop == nil else { return [] }
        var actions: [Action] = []
        switch consequence {
        case .nothing: break
        case .run(let name):
            if isOver, let hook = serviceID(named: name), hook != id {
                actions += tell(hook, .command(.once), at: now)
            }
        case .restartDependents:
            let order = knownOrder
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
        essentialReason = reason(essential: id)
        return beginStop(.exit, .terminate, at: now)
    }

    // MARK: - Ending in order

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
            guard let service = services[index], case .main = service.standing else { continue }
            if definitions[id]?.kind == .bundle && service.machine.pid == 0 { continue }
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
