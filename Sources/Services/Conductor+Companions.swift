/// The programs that run beside a service: runit's `control`, asked before a signal, and encore's `notify`.
extension Conductor {
    /// Sends a signal that follows from `event`; where the service has a `control`, its program is asked before. What
    /// is sent because a time is over asks nobody, nor does the end of a stop.
    mutating func send(
        _ signal: ServiceSignal, to pid: Int32, _ reach: ServiceDefinition.Reach,
        of id: ServiceID, because event: ServiceMachine.Event, at now: Moment
    ) -> [Action] {
        let definition = definition(of: id)
        let reach = reach == .process && reachesGroup ? .group : reach
        guard definition.programs.contains(.control), services[id.index]?.machine.role == .run,
            event != .deadline, event != .troubled, stop == nil || signal != .kill
        else { return [.signal(pid: pid, signal, reach)] }
        let letter = letter(for: signal, event, definition)
        queue(.signal(pid: pid, signal, reach, asking: letter), for: id)
        if signal == .continue, event == .command(.down) {
            queue(.word(Command.down.rawValue), for: id)
        }
        return goOn(withCompanionsOf: id, at: now)
    }

    /// The letter of the command that a signal stands for; nil for the CONT that lets a process end.
    private func letter(
        for signal: ServiceSignal, _ event: ServiceMachine.Event, _ definition: ServiceDefinition
    ) -> UInt8? {
        switch event {
        case .command(.down), .command(.restart), .restart:
            return signal == .continue && definition.stopSignal != signal.rawValue
                ? nil : Command.terminate.rawValue
        case .command(.reload): return Command.hangup.rawValue
        case .command(let command): return command.rawValue
        default: return nil
        }
    }

    /// Tells `control/x` that supervision is to end.
    mutating func tellOfExit(_ id: ServiceID, at now: Moment) -> [Action] {
        guard definition(of: id).programs.contains(.control),
            let machine = services[id.index]?.machine, machine.pid != 0, machine.role == .run
        else { return [] }
        queue(.word(Command.exit.rawValue), for: id)
        return goOn(withCompanionsOf: id, at: now)
    }

    /// Tells encore's `notify` of a process that was started, or how one ended.
    mutating func notify(_ id: ServiceID, _ pid: Int32, _ death: Death?, at now: Moment) -> [Action]
    {
        guard definition(of: id).programs.contains(.notify),
            let role = services[id.index]?.machine.role, Companion.isTold(of: role)
        else { return [] }
        queue(.notice(.notify(role, death, pid: pid)), for: id)
        return goOn(withCompanionsOf: id, at: now)
    }

    private mutating func queue(_ request: CompanionQueue.Request, for id: ServiceID) {
        companions[id, default: CompanionQueue()].add(request)
    }

    /// Does what is next, unless that waits for a program.
    private mutating func goOn(withCompanionsOf id: ServiceID, at now: Moment) -> [Action] {
        var actions: [Action] = []
        while let step = companions[id]?.next() { actions += take(step, for: id) }
        if companions[id]?.requests.isEmpty == true { companions[id] = nil }
        return actions
    }

    private func take(_ step: CompanionQueue.Step, for id: ServiceID) -> [Action] {
        guard let service = services[id.index] else { return [] }
        switch step {
        case .start(let companion):
            return [.accompany(id, service.standing, companion, definition(of: id))]
        case .send(let pid, let signal, let reach):
            // It may have ended while its `control` was asked.
            return service.machine.pid == pid ? [.signal(pid: pid, signal, reach)] : []
        }
    }

    mutating func noteCompanion(_ id: ServiceID, _ outcome: CompanionOutcome, at now: Moment)
        -> [Action]
    {
        let limit = min(
            definition(of: id).stopLimit ?? CompanionQueue.patience, CompanionQueue.patience)
        let step = companions[id]?.note(outcome, limit: limit, at: now.nanoseconds)
        return (step.map { take($0, for: id) } ?? []) + goOn(withCompanionsOf: id, at: now)
    }

    /// Takes the end of a program that was asked; nil when it was none.
    mutating func noteCompanionDeath(_ pid: Int32, _ death: Death, at now: Moment) -> [Action]? {
        guard let id = companions.first(where: { $0.value.pid == pid })?.key else { return nil }
        let request = companions[id]?.requests.first
        let step = companions[id]?.noteEnd(death)
        var actions = step.map { take($0, for: id) } ?? []
        if step == nil, case .signal(_, .terminate, _, _) = request,
            services[id.index]?.machine.wasTerminated == true
        {
            // It was not, after all.
            services[id.index]?.machine.wasTerminated = false
            actions += showStatus(of: id)
        }
        return actions + goOn(withCompanionsOf: id, at: now)
    }

    /// Kills programs that took too long, and tries again what found no room.
    mutating func passTimeOfCompanions(at now: Moment) -> [Action] {
        var actions: [Action] = []
        if companions.isEmpty { return actions }
        for index in services.indices {
            let id = ServiceID(index)
            if let pid = companions[id]?.passTime(at: now.nanoseconds) {
                actions.append(.signal(pid: pid, .kill))
            }
            actions += goOn(withCompanionsOf: id, at: now)
        }
        return actions
    }
}
