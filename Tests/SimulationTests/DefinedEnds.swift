import Bytes
import Formats

@testable import Services

/// What ends, signals and status files of services with definitions mean, and what must hold of them.
extension World {
    func expectDefinedDeath(_ index: Int, _ pid: Int32, _ death: Death) {
        guard var service = services[index] else { return }
        let role = service.life.role
        service.process = 0
        service.isPaused = false
        service.life.isReady = false
        if role == .run || role == .prepare { service.life.code = death.shellCode }
        services[index] = service
        switch role {
        case .run: expectEndOfRun(index, pid, death)
        case .prepare:
            if death.status == 0 && death.startError == 0 {
                services[index]?.life.hasToUndo = true
            } else if service.life.stopAsked == nil && service.wish != .down {
                expectFailure(index)
            }
        case .finish: if death.ending == .code(125) && service.wish == .up { expectFailure(index) }
        case .stop: if death.ending == .code(100) { expectFailure(index) }
        case .undo, .announce: break
        }
        // Its end may be the reason why another is run.
        for consequence in [service.life.asked.onEnd, service.life.asked.onFailure] {
            if case .run(let name) = consequence, let other = named(name), other != index {
                wake(other, .none)
            }
        }
    }

    /// It is over without having been told to go.
    private func expectFailure(_ index: Int) {
        guard services[index]?.mustLeave == false else { return }
        services[index]?.life.isFinal = true
        if services[index]?.life.asked.isEssential == true, services[index]?.wish == .up,
            services[index]?.life.isWishSure == true
        {
            services[index]?.life.mustEndAll = true
        }
    }

    private func expectEndOfRun(_ index: Int, _ pid: Int32, _ death: Death) {
        guard var service = services[index] else { return }
        let life = service.life
        let definition = life.asked
        let isDone =
            death.startError == 0
            && (death.status == 0 || definition.successes.contains(death.ending))
        let isSuccess =
            isDone || life.isExpected && [definition.stopSignal, 1, 2, 15].contains(death.signal)
        if definition.kind == .oneshot && isDone {
            service.life.isReady = !service.wasToldDown && !service.mustLeave && stop == nil
            service.life.hasToUndo = true
        }
        if definition.kind == .longrun && definition.programs.contains(.finish) {
            service.life.owedFinish = .finish(death, pid: pid)
        }
        service.life.died = nil
        services[index] = service
        // It was told to end, so that its end is no reason for anything.
        if life.stopAsked != nil || service.wish != .up || service.mustLeave { return }
        expectRestartOfDependents(index, isSuccess)
        let lived = now - life.started
        let hasRecovered = lived > max(10_000_000_000, definition.longestDelay)
        let isSure = !life.mayBeCondemned
        services[index]?.life.failures =
            isSuccess ? 0 : hasRecovered ? 1 : life.failures + (isSure ? 1 : 0)
        services[index]?.life.died = now
        if definition.kind == .oneshot {
            if !isDone && definition.restart != .onFailure { expectFailure(index) }
            return
        }
        let saysSo =
            !definition.programs.isDisjoint(with: [.start, .stop, .notify])
            && death.ending == .code(100)
        let isOver =
            switch definition.restart {
            case .always: false
            case .onFailure: isSuccess && isSure
            case .never: true
            }
        if isOver || saysSo || definition.finals.contains(death.ending) { expectFailure(index) }
    }

    /// Nothing outlives what it is bound to: those that need a service that restarts its dependents end with it.
    private func expectRestartOfDependents(_ index: Int, _ isSuccess: Bool) {
        guard stop == nil, let service = services[index], !service.life.mayBeCondemned else {
            return
        }
        let definition = service.life.asked
        let consequence = isSuccess ? definition.onEnd : definition.onFailure
        guard consequence == .restartDependents, definition.kind == .longrun,
            !definition.programs.contains(.finish), definition.restartLimit == nil || !isSuccess
        else { return }
        for other in dependents(on: service) where other != index {
            guard let dependent = services[other], dependent.process != 0,
                dependent.life.role == .run
            else { continue }
            boundSignals.append(
                .init(pid: dependent.process, signal: dependent.life.asked.stopSignal))
        }
    }

    func checkBound(_ actions: [Action]) throws {
        for bound in boundSignals {
            try require(
                actions.contains {
                    if case .signal(bound.pid, let signal, _) = $0 {
                        signal.rawValue == bound.signal
                    } else {
                        false
                    }
                }, "\(bound.pid) outlives what it is bound to")
        }
        boundSignals = []
    }

    // MARK: - Signals

    /// A signal to a service with a definition, which no command of this turn explains by itself.
    func checkDefinedSignal(_ pid: Int32, _ signal: Int32) throws {
        guard let index = services.firstIndex(where: { $0?.process == pid }),
            let service = services[index]
        else {
            throw BrokenInvariant(description: "sends \(signal) to \(pid), which is no service")
        }
        if signal == 9, !isLateInStop { try checkKill(service) }
        if signal == service.life.asked.stopSignal {
            if stop != nil, lastCommand == nil, !isLateInStop { try checkOrderOfStop(service) }
            // It was told to end because of others, or for being late.
            if lastCommand == nil { services[index]?.life.stopAsked = now }
        }
        if stop != nil, signal == 9, isLateInStop { hasKilled = true }
    }

    private var isLateInStop: Bool {
        guard let stop else { return false }
        return now >= stop.end - min(stop.end, schedule.reserve)
    }

    /// KILL comes by command, or when a limit has passed.
    private func checkKill(_ service: SupervisedService) throws {
        if lastCommand == .kill || service.life.mayBeCondemned { return }
        let life = service.life
        let definition = life.asked
        let (limit, since) =
            switch life.role {
            case .run where definition.kind == .oneshot && life.stopAsked == nil:
                (definition.upLimit, life.programStarted)
            case .run, .prepare:
                life.stopAsked.map { (definition.stopLimit, $0) }
                    ?? (definition.upLimit, life.programStarted)
            case .finish: (definition.finishLimit, life.programStarted)
            case .stop, .undo, .announce: (definition.downLimit, life.programStarted)
            }
        let start = life.definition == definition ? since : min(since, life.programStarted)
        guard let limit else { throw BrokenInvariant(description: "kills without a limit") }
        try require(now >= start + limit, "kills before the limit has passed")
    }

    // MARK: - Status files

    /// One that was not ready in time may be taken as ready; one that says it failed may not come back by itself. A bundle
    /// has neither, unless it has a process of the time before it became one.
    func noteDefinedStatus(_ id: ServiceID, _ record: StatusRecord) {
        guard isDefined(id), let service = services[id.index], let details = record.details,
            service.life.asked.kind != .bundle || service.process != 0
        else { return }
        let life = service.life
        if details.state == .failed && !life.isFinal { services[id.index]?.life.isFinal = true }
        // A limit holds from the start, whatever the settings say since.
        let limits = [life.asked.readyLimit, life.definition.readyLimit].compactMap { $0 }
        let isLate =
            life.asked.ifLate == .proceed && limits.contains { now >= life.started + $0 }
        if details.isReady, isLate, life.role == .run, services[id.index]?.process != 0 {
            services[id.index]?.life.isReady = true
        }
    }

    func checkDefinedRest(_ service: SupervisedService) throws {
        guard let status = service.status else { return }
        try require(status.pid == UInt32(service.process), "the status file lies about the process")
        if let details = status.details {
            let isReady =
                service.life.asked.kind == .bundle && service.process == 0
                ? isComplete(service) : service.life.isReady
            try require(
                details.isReady == isReady || service.life.asked.kind == .bundle && stop != nil,
                "the status file lies about readiness: \(status) of \(service)")
        }
        try require(
            !service.wasToldDown || status.want == StatusRecord.wantsDown,
            "the status file lies about what is wanted: \(status) of \(service)")
        try require(
            !service.life.mustEndAll || service.life.owedFinish != nil || stop != nil
                || service.process != 0 || service.isStarting || service.wish != .up
                || service.mustLeave
                || conductor.services.places.contains {
                    $0?.machine.isHelperDue == true
                },
            "something essential has ended, and all goes on")
    }
}
