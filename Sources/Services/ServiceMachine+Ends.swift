import Formats

/// What follows when a process of a service ends.
extension ServiceMachine {
    mutating func noteEnd(
        _ pid: Int32, _ death: Death, _ definition: ServiceDefinition, at now: UInt64
    ) -> [Effect] {
        // What is beside a service that is started again may be on purpose; after a stop, somebody has to be told of it.
        let isRestOfNoInterest = definition.stopReach == .process && wish != .down
        var effects: [Effect] = isRestOfNoInterest ? [] : [.killRest(pid: pid)]
        clear()
        lastDeath = death
        endTime = now
        if death.ranOutOfMemory { sentence = .outOfMemory }
        if definition.kind == .oneshot && RestartPolicy.isSuccess(death, definition) {
            mustUndo = definition.programs.contains(.down)
            isReady = true
            state = .done
            if isLeaving || wish == .down {
                return effects + (undo(definition, at: now) ?? settle(definition, at: now))
            }
            return effects + [.writeStatus]
        }
        if definition.kind == .longrun && definition.programs.contains(.finish) {
            effects += next(.finish(death, pid: pid))
        } else {
            effects += settle(definition, at: now)
        }
        return effects
    }

    /// One of the other programs has ended.
    mutating func noteEndOfHelper(
        _ death: Death, _ definition: ServiceDefinition, at now: UInt64
    ) -> [Effect] {
        clear()
        switch role {
        case .prepare:
            lastDeath = death
            if wish == .down || isLeaving { return settle(definition, at: now) }
            guard death.status == 0, death.startError == 0 else {
                return wasStopped ? start(definition, at: now) : fail(.permanent)
            }
            isPrepared = true
            mustUndo = definition.programs.contains(.stop)
            guard definition.programs.contains(.run) else {
                state = .done
                isReady = true
                return [.writeStatus]
            }
            role = .run
            // What it needs may be gone by now.
            return start(definition, at: now)
        case .announce:
            if wish == .down || isLeaving { return settle(definition, at: now) }
            // Whatever it says, unless it was told to end with the service and has to be asked again.
            isAnnounced = !wasStopped
            role = .run
            return start(definition, at: now)
        case .finish:
            // s6's permanent failure.
            if death.ending == .code(125), wish == .up, !isLeaving { return fail(.permanent) }
        case .stop, .undo:
            if role == .stop, death.ending == .code(100), wish != .down, !isLeaving, !hasFailed {
                return fail(.permanent)
            }
        case .run: break
        }
        return goOnAfterHelper(definition, at: now)
    }

    mutating func goOnAfterHelper(_ definition: ServiceDefinition, at now: UInt64) -> [Effect] {
        let role = role
        self.role = .run
        if case .finish = role { return settle(definition, at: now) }
        state = hasFailed ? .failed : .down
        if isLeaving { return end() }
        if hasFailed { return [.writeStatus] }
        return wish == .up ? start(definition, at: now) : [.writeStatus]
    }

    private mutating func clear() {
        isReady = false
        isPaused = false
        isStopping = false
        isKilled = false
        killTime = nil
        readyTime = nil
        pingTime = nil
    }

    private mutating func next(_ role: ProgramRole) -> [Effect] {
        self.role = role
        state = .starting
        return [.start(role)]
    }

    /// Starts what undoes the start, if there is something to undo and a program for it; else nil.
    mutating func undo(_ definition: ServiceDefinition, at now: UInt64) -> [Effect]? {
        guard mustUndo else { return nil }
        mustUndo = false
        isPrepared = false
        isReady = false
        if definition.kind == .oneshot {
            return definition.programs.contains(.down) ? next(.undo) : nil
        }
        return definition.programs.contains(.stop) ? next(.stop) : nil
    }

    private mutating func settle(_ definition: ServiceDefinition, at now: UInt64) -> [Effect] {
        state = .down
        isReady = false
        role = .run
        let sentence = sentence
        self.sentence = nil
        if isLeaving { return undo(definition, at: now) ?? end() }
        guard wish == .up, let death = lastDeath else {
            reason = wish == .down ? .asked : .ended
            return undo(definition, at: now) ?? [.writeStatus]
        }
        if sentence == .notReady && definition.ifLate == .fail {
            return fail(.notReady) + (undo(definition, at: now) ?? [])
        }
        return decide(death, sentence, definition, at: now)
    }

    private mutating func decide(
        _ death: Death, _ sentence: StatusDetails.Reason?, _ definition: ServiceDefinition,
        at now: UInt64
    ) -> [Effect] {
        // A one-shot that failed is tried again only where that was asked for.
        if definition.kind == .oneshot && definition.restart != .onFailure {
            return fail(.ended)
        }
        if wasStopped && sentence == nil {
            // It was told to go down, and up again since.
            return start(definition, at: now)
        }
        let decision = RestartPolicy.decide(
            death, wasCondemned: sentence != nil, isExpected: isExpected, lived: lived, definition,
            &history, earliest: earliestStart, at: now)
        switch decision {
        case .restart(let time):
            earliestStart = time
            reason = sentence ?? .none
            let next = max(time, now) - now
            return [.report(.ended(death, lived: lived, next: next))]
                + start(definition, at: now)
        case .end:
            wish = .none
            reason = .ended
            return [.report(.ended(death, lived: lived, next: nil))]
                + (undo(definition, at: now) ?? [.writeStatus])
        case .fail(let reason):
            return fail(sentence ?? reason) + (undo(definition, at: now) ?? [])
        }
    }

    /// How long `run` was there.
    private var lived: UInt64 { endTime - min(startTime, endTime) }

    private mutating func fail(_ reason: StatusDetails.Reason) -> [Effect] {
        state = .failed
        hasFailed = true
        role = .run
        wish = .none
        self.reason = reason
        return [.report(.failed), .writeStatus]
    }
}
