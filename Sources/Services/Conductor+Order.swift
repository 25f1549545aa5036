import Bytes
import Formats

/// Who comes before whom, as services and their definitions are now.
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
    mutating func setDone(_ id: ServiceID, _ time: TAI64N?) -> [Action] {
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
        // In a stop the order is that of what was there at its beginning, and nobody waits for what is gone.
        if stop == nil && mayHaveOrder { loseOrder() }
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

    // MARK: - Making it

    /// Makes the order anew if it has to be; says what is wrong with it, once, and brings up what is needed.
    mutating func bringOrderUpToDate(at now: Moment) -> [Action] {
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
    var knownOrder: ServiceOrder { order.isStale ? makeOrder() : order }

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
}
