import Bytes
import Formats

/// The life of one service.
extension Conductor {
    /// Tells a service's machine what happened; returns what is to be done for it.
    mutating func tell(_ id: ServiceID, _ event: ServiceMachine.Event, at now: Moment) -> [Action] {
        let definition = definition(of: id)
        guard let before = services[id.index]?.machine,
            let effects = services[id.index]?.machine.handle(
                event, definition, at: now.nanoseconds)
        else { return [] }
        noteChange(of: id, before, at: now)
        var actions = letGoOfHeld(id, before, definition)
        for effect in effects {
            guard let service = services[id.index] else { break }
            switch effect {
            case .start(let role):
                let launch = Launch(role, definitions[id], pipelineEnds(of: id))
                actions.append(.start(id, service.standing, launch, checks: !service.isChecked))
            case .signal(let pid, let signal, let reach):
                actions += send(signal, to: pid, reach, of: id, because: event, at: now)
            case .killRest(let pid):
                // A stop of everything tells of, and ends, the rest by itself.
                if definition.stopReach == .process && stop != nil { continue }
                actions.append(.killRest(id, pid: pid, definition.stopReach))
            case .report(let report): actions += take(report, from: id, at: now)
            case .writeStatus:
                actions += showStatus(of: id)
            case .end:
                // One that is being opened keeps its place until that has an outcome.
                if service.isOpen || service.standing == .command {
                    actions += remove(id, at: now)
                }
            }
        }
        if event == .command(.exit) { actions += tellOfExit(id, at: now) }
        return actions
    }

    /// Whoever connects to a service that is to stay down is refused.
    private func letGoOfHeld(
        _ id: ServiceID, _ before: ServiceMachine, _ definition: ServiceDefinition
    ) -> [Action] {
        guard !definition.sockets.isEmpty || definition.storeLimit > 0,
            let machine = services[id.index]?.machine, machine.isAtRest, !before.isAtRest
        else { return [] }
        return [.closeHeld(id)]
    }

    /// Writes its status file, if it has one.
    func showStatus(of id: ServiceID) -> [Action] {
        guard let service = services[id.index], service.isOpen else { return [] }
        return [.writeStatus(id, service.status(texts[id] ?? ""))]
    }

    mutating func obey(_ command: Command, _ id: ServiceID, at now: Moment) -> [Action] {
        // The next start may be long after the last look.
        if command == .down { services[id.index]?.isChecked = false }
        if let actions = obeyForOthers(command, id, at: now) { return actions }
        return tell(id, .command(command), at: now) + letGo(of: id, at: now)
    }

    /// Obeys with every signal widened from a process to its group.
    mutating func obeyWithGroup(_ command: Command, _ id: ServiceID, at now: Moment) -> [Action] {
        reachesGroup = true
        defer { reachesGroup = false }
        return obey(command, id, at: now)
    }

    /// The logger of a service, while it is supervised.
    public func logger(of id: ServiceID) -> ServiceID? {
        guard case .main(let pair) = services[id.index]?.standing else { return nil }
        return pairs[pair.index]?.logger
    }

    mutating func noteOpening(
        _ id: ServiceID, _ isDown: Bool, _ definition: ServiceDefinition?, at now: Moment
    ) -> [Action] {
        guard let service = services[id.index] else { return [] }
        services[id.index]?.isOpen = true
        if service.machine.isOver { return remove(id, at: now) }
        _ = setDefinition(definition, of: id)
        if mayHaveOrder { loseOrder() }
        let isBundle = definition?.kind == .bundle
        services[id.index]?.isChecked = !isDown && !isBundle
        services[id.index]?.machine = ServiceMachine(wish: isDown || isBundle ? .down : .up)
        switch service.standing {
        case .main, .single: services[id.index]?.machine.isOrdered = true
        case .logger, .command: break
        }
        switch service.standing {
        case .main(let pair): pairs[pair.index]?.serviceComplaint = nil
        case .logger(let pair): pairs[pair.index]?.loggerComplaint = nil
        case .single, .command: break
        }
        if stop != nil { return tell(id, .command(.exit), at: now) }
        return tell(id, .begin, at: now)
    }

    mutating func noteNoOpening(_ id: ServiceID, _ complaint: Complaint, at now: Moment) -> [Action]
    {
        guard let service = services[id.index] else { return [] }
        services.remove(id.index)
        switch service.standing {
        case .single, .command:
            isOver = true
            return [
                .say(Remark(.fatal, complaint.text, errno: complaint.errno)),
                .end(.exit, exitCode: 111),
            ]
        case .main(let pair):
            pairs[pair.index]?.service = nil
            return noteTrouble(pair, complaint, at: now)
        case .logger(let pair):
            pairs[pair.index]?.logger = nil
            pairs[pair.index]?.restUntil = now.nanoseconds + ScanState.interval
            let isKnown = pairs[pair.index]?.loggerComplaint == complaint
            pairs[pair.index]?.loggerComplaint = complaint
            return (isKnown ? [] : [.say(.complaint(complaint))])
                + (goOn(with: pair) == nil ? abandon(pair) : [])
        }
    }

    /// An adopted process has been up for some time, and no program has to be told that it starts.
    mutating func noteAdoption(
        _ id: ServiceID, _ pid: Int32, _ since: TAI64N, _ isReady: Bool, at now: Moment
    ) -> [Action] {
        // A process is of one service.
        guard processes[pid] == nil else {
            return tell(id, .refused, at: now)
        }
        var actions = noteStart(id, pid, since: since, at: now)
        if isReady { actions += tell(id, .ready, at: now) }
        return actions
    }

    mutating func noteStart(
        _ id: ServiceID, _ pid: Int32, since: TAI64N? = nil, at now: Moment
    ) -> [Action] {
        processes[pid] = id
        hasChildren = true
        services[id.index]?.since = since ?? now.timeOfDay
        services[id.index]?.isChecked = false
        return notify(id, pid, nil, at: now) + tell(id, .started(pid: pid), at: now) + probe(id)
            + letGo(of: id, at: now)
    }

    /// Has it found out whether the service is ready, unless it tells that itself.
    func probe(_ id: ServiceID) -> [Action] {
        guard let definition = definitions[id], let machine = services[id.index]?.machine,
            case .up(let pid) = machine.state, !machine.isReady, definition.kind == .longrun
        else { return [] }
        switch definition.readiness {
        case .command, .tcp, .unix: return [.probe(id, pid: pid, definition.readiness)]
        case .start, .descriptor, .notify: return []
        }
    }

    mutating func noteRefusal(_ id: ServiceID, _ errno: Int32, at now: Moment) -> [Action] {
        services[id.index]?.isChecked = false
        let actions = noteStartError(id, errno, isRefusal: true)
        // A command that cannot even be tried has no second chance: nobody would wait for it.
        if services[id.index]?.standing == .command {
            commandCode = 111
            return actions + remove(id, at: now)
        }
        return actions + tell(id, .refused, at: now)
    }

    /// Says what a service lacks to be started, unless it lacked the same the last time; tries again as after a refusal.
    mutating func noteLack(_ id: ServiceID, _ complaint: Complaint, at now: Moment) -> [Action] {
        services[id.index]?.isChecked = false
        let isKnown = services[id.index]?.startError == complaint.errno
        services[id.index]?.startError = complaint.errno
        return (isKnown ? [] : [.say(.complaint(complaint))]) + tell(id, .refused, at: now)
    }

    /// Says why a service could not be started, unless that was the reason the last time too.
    private mutating func noteStartError(_ id: ServiceID, _ errno: Int32, isRefusal: Bool = false)
        -> [Action]
    {
        guard let service = services[id.index] else { return [] }
        let role = service.machine.role
        let error = role == .run ? errno : -errno
        // That one can be started tells nothing of the other.
        let isOfOther = service.startError != 0 && (service.startError > 0) != (role == .run)
        if errno == 0 && isOfOther { return [] }
        services[id.index]?.startError = error
        if errno == 0 || error == service.startError { return [] }
        if isRefusal { return [.say(.refused(service.name, errno: errno))] }
        let file = role.file(definitions[id])
        return [.say(.notStarted(id, service, file, errno: errno))]
    }

    mutating func noteDeath(of pid: Int32, _ death: Death, at now: Moment) -> [Action] {
        guard let id = processes.removeValue(forKey: pid) else {
            return noteCompanionDeath(pid, death, at: now) ?? []
        }
        services[id.index]?.since = now.timeOfDay
        texts[id] = nil
        // Whose turn to end has not come is not started again.
        if stop != nil, case .main = services[id.index]?.standing {
            services[id.index]?.machine.isLeaving = true
        }
        let actions = noteStartError(id, death.startError) + notify(id, pid, death, at: now)
        if services[id.index]?.standing == .command {
            commandCode = death.shellCode
            return actions + remove(id, at: now)
        }
        return actions + tell(id, .ended(death), at: now) + letGo(of: id, at: now)
    }

    /// Forgets a service that is supervised no more.
    mutating func remove(_ id: ServiceID, at now: Moment) -> [Action] {
        guard let service = services[id.index] else { return [] }
        services.remove(id.index)
        forget(id)
        switch service.standing {
        case .command: return stop == nil ? beginStop(.exit, .terminate, at: now) : []
        case .single: return [.close(id)]
        case .main(let pair):
            pairs[pair.index]?.service = nil
            return [.close(id)] + noteEndOfService(in: pair, at: now)
        case .logger(let pair):
            pairs[pair.index]?.logger = nil
            return [.close(id)] + noteEnd(in: pair, at: now)
        }
    }

    // MARK: - The pipe of a pair

    private mutating func noteEndOfService(in pair: PairID, at now: Moment) -> [Action] {
        var actions: [Action] = []
        if stop != nil || pairs[pair.index]?.isReplaced == true {
            actions += endInput(of: pair, at: now)
        }
        return actions + noteEnd(in: pair, at: now)
    }

    /// Notes that a service or logger of the pair is supervised no more: for good, unless it is still in the directory
    /// after the interval. One that was removed and is there again need not wait.
    private mutating func noteEnd(in id: PairID, at now: Moment) -> [Action] {
        var actions = forsake(id)
        guard let pair = pairs[id.index] else { return actions }
        if pair.isPresent {
            let isAnew = pair.isLogged && !pair.hasWriter || pair.filling != nil
            pairs[id.index]?.restUntil = now.nanoseconds + (isAnew ? 0 : ScanState.interval)
        } else if pair.isIdle && !pair.isBeingCompleted {
            actions += forget(id)
        }
        return actions + (stop == nil ? completePairs(at: now) : [])
    }

    /// Closes the writing end when nobody will write again and the logger has been told to end: it may be waiting for
    /// the rest of a line.
    mutating func forsake(_ id: PairID) -> [Action] {
        guard let pair = pairs[id.index], !pair.isPresent, pair.service == nil,
            let logger = pair.logger, services[logger.index]?.machine.isLeaving == true
        else { return [] }
        return closeWriter(of: id)
    }

    mutating func closeWriter(of id: PairID) -> [Action] {
        guard pairs[id.index]?.hasWriter == true else { return [] }
        pairs[id.index]?.hasWriter = false
        return [.closeWriter(id)]
    }

    mutating func closeReader(of id: PairID) -> [Action] {
        guard pairs[id.index]?.hasReader == true else { return [] }
        pairs[id.index]?.hasReader = false
        return [.closeReader(id)]
    }

    /// Forgets an entry of which nothing is supervised.
    mutating func forget(_ id: PairID) -> [Action] {
        let actions = closeWriter(of: id) + closeReader(of: id)
        pairs.remove(id.index)
        return actions
    }

    /// Closes both ends of the pipe of a service that is gone. A logger that is up will read what is left and end; one
    /// that waits to be started is started first to do that.
    mutating func endInput(of id: PairID, at now: Moment) -> [Action] {
        let actions = closeWriter(of: id)
        guard let logger = pairs[id.index]?.logger, let service = services[logger.index] else {
            return actions + closeReader(of: id)
        }
        if service.machine.isStartDue { return actions }
        return actions + closeReader(of: id) + tell(logger, .command(.exit), at: now)
    }

    /// Lets a logger end by itself that has just been started to read what is left.
    private mutating func letGo(of id: ServiceID, at now: Moment) -> [Action] {
        guard case .logger(let pair) = services[id.index]?.standing,
            let machine = services[id.index]?.machine
        else { return [] }
        let isAlone = pairs[pair.index]?.service == nil
        // Its service may be there again, and without a logger.
        let isLast = pairs[pair.index]?.hasWriter == false || stop != nil && isAlone
        if isLast, machine.pid != 0, !machine.isLeaving { return endInput(of: pair, at: now) }
        return forsake(pair)
    }
}
