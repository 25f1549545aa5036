import Bytes
import Formats

/// What a command to one service, or its end, means to others.
extension Conductor {
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
    mutating func bringUpNeeds(
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
}
