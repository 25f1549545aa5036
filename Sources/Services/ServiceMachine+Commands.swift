import Formats

/// What a service is told, by people and by itself.
extension ServiceMachine {
    mutating func obey(_ command: Command, _ definition: ServiceDefinition, at now: UInt64)
        -> [Effect]
    {
        switch command {
        case .up: return goUp(.up, definition, at: now)
        case .once: return goUp(.none, definition, at: now)
        case .down: return goDown(definition, at: now)
        case .exit: return leave(definition, at: now)
        case .pause: return setPaused(true, .stop)
        case .continue: return setPaused(false, .continue)
        case .restart:
            guard case .up = state else { return [] }
            return stopProcess(definition, at: now)
        case .reload: return signal(ServiceSignal(rawValue: definition.reloadSignal))
        case .terminate:
            isExpected = true
            if pid != 0 { wasTerminated = true }
            return signal(.terminate) + (pid == 0 ? [] : [.writeStatus])
        default:
            isExpected = true
            return command.signal.map { signal($0) } ?? []
        }
    }

    private mutating func goUp(_ wish: Wish, _ definition: ServiceDefinition, at now: UInt64)
        -> [Effect]
    {
        self.wish = wish
        switch state {
        case .down, .failed:
            history = RestartHistory()
            hasFailed = false
            role = .run
            return [.writeStatus] + start(definition, at: now)
        case .blocked, .waiting, .starting, .up, .busy, .done, .over: return [.writeStatus]
        }
    }

    mutating func goDown(_ definition: ServiceDefinition, at now: UInt64) -> [Effect] {
        wish = .down
        reason = .asked
        switch state {
        case .waiting where !role.isHelper, .blocked, .failed, .done:
            state = .down
            isReady = false
            return undo(definition, at: now) ?? [.writeStatus]
        case .up: return stopProcess(definition, at: now)
        case .busy where !role.isHelper: return stopProcess(definition, at: now)
        default:
            isPaused = false
            return [.writeStatus]
        }
    }

    /// Tells the process to end, and to go on so that it can.
    mutating func stopProcess(_ definition: ServiceDefinition, at now: UInt64) -> [Effect] {
        isPaused = false
        isStopping = true
        isExpected = true
        wasStopped = true
        let signal = ServiceSignal(rawValue: definition.stopSignal)
        if signal == .terminate { wasTerminated = true }
        killTime = definition.stopLimit.map { now + $0 }
        readyTime = nil
        pingTime = nil
        return [
            .signal(pid: pid, signal, definition.stopReach),
            .signal(pid: pid, .continue, definition.stopReach), .writeStatus,
        ]
    }

    private mutating func leave(_ definition: ServiceDefinition, at now: UInt64) -> [Effect] {
        isLeaving = true
        if pid != 0 || state == .starting { return [] }
        if case .waiting = state, role.isHelper { return [] }
        return undo(definition, at: now) ?? end()
    }

    private func signal(_ signal: ServiceSignal) -> [Effect] {
        pid == 0 ? [] : [.signal(pid: pid, signal, .process)]
    }

    /// The status comes first, since the signal is seen in the process.
    private mutating func setPaused(_ paused: Bool, _ signal: ServiceSignal) -> [Effect] {
        isPaused = paused && pid != 0
        return [.writeStatus] + self.signal(signal)
    }

    /// What becomes of a bundle; returns whether that is a change.
    mutating func setDone(_ isDone: Bool) -> Bool {
        guard isReady != isDone, pid == 0 else { return false }
        isReady = isDone
        state = isDone ? .done : .down
        return true
    }

    // MARK: - What it says of itself

    mutating func hear(_ word: Event, _ definition: ServiceDefinition, at now: UInt64) -> [Effect] {
        switch word {
        case .ready:
            if isReady || definition.kind == .oneshot { return [] }
            isReady = true
            readyTime = nil
            return [.writeStatus]
        case .reloading:
            isReady = false
            readyTime = definition.readyLimit.map { now + $0 }
            return [.writeStatus]
        case .stopping:
            isStopping = true
            isReady = false
            readyTime = nil
            pingTime = nil
            return [.writeStatus]
        case .pinged:
            if !isStopping { pingTime = definition.watchdog.map { now + $0 } }
            return []
        case .troubled:
            pingTime = now
            return noteTime(definition, at: now)
        case .forgiven:
            history = RestartHistory()
            return []
        case .extended(let time):
            let end = now + min(time, StopPlan.longest)
            if let kill = killTime { killTime = max(kill, end) }
            if let ready = readyTime { readyTime = max(ready, end) }
            return []
        case .moved(let pid):
            state = .up(pid: pid)
            return [.writeStatus]
        default: return []
        }
    }

    // MARK: - Time

    /// Something took too long.
    mutating func noteTime(_ definition: ServiceDefinition, at now: UInt64) -> [Effect] {
        if let time = killTime, time <= now {
            killTime = now + ServiceMachine.killInterval
            let reach = definition.killsGroup ? .group : definition.stopReach
            let isFirst = !isKilled
            isKilled = true
            return [.signal(pid: pid, .kill, role == .run ? reach : .process)]
                + (isFirst ? [.report(.killed)] : [])
        }
        if let time = pingTime, time <= now {
            pingTime = nil
            sentence = .watchdog
            isStopping = true
            killTime = now + (definition.stopLimit ?? ServiceMachine.killInterval)
            return [.signal(pid: pid, .abort, .process), .report(.silent), .writeStatus]
        }
        guard let time = readyTime, time <= now else { return [] }
        readyTime = nil
        if definition.ifLate == .proceed {
            isReady = true
            return [.report(.late), .writeStatus]
        }
        sentence = .notReady
        return [.report(.late)] + stopProcess(definition, at: now)
    }
}
