import Bytes

/// Setting up what of an entry is not supervised, step by step: wait until it is filled, look for `log`, make the pipe,
/// open logger and service.
extension Conductor {
    /// With so many entries it goes on at a time, so that a thousand new ones hold up nothing else.
    private static let mostAtOnce = 8

    /// Goes on with the pairs whose time has come; if there are many, with the rest when it is asked again.
    mutating func completePairs(at now: Moment) -> [Action] {
        var actions: [Action] = []
        let inUse = namesInUse()
        for index in pairs.indices where actions.count < Conductor.mostAtOnce {
            actions += complete(PairID(index), inUse, at: now)
        }
        return actions
    }

    private mutating func complete(_ id: PairID, _ inUse: Set<ByteString>, at now: Moment)
        -> [Action]
    {
        guard let pair = pairs[id.index], let due = completionTime(of: pair, inUse),
            due <= now.nanoseconds
        else {
            return []
        }
        if pair.filling == nil { return examine(id) }
        pairs[id.index]?.isBeingCompleted = true
        return [.inspect(id, name: pair.path, pair.identity)]
    }

    /// Has an entry examined, unless that is being done.
    mutating func examine(_ id: PairID) -> [Action] {
        guard let pair = pairs[id.index], !pair.isBeingCompleted else { return [] }
        pairs[id.index]?.isBeingCompleted = true
        return [.examine(id, name: pair.path, pair.identity)]
    }

    /// A directory is complete when it has a `run` and nothing has changed for a while, or when nobody can be expected
    /// to wait any longer.
    mutating func noteInspection(
        _ id: PairID, _ signature: UInt64, _ hasRun: Bool, at now: Moment
    ) -> [Action] {
        guard let pair = goOn(with: id) else { return abandon(id) }
        pairs[id.index]?.isBeingCompleted = false
        guard let filling = pair.filling, filling.limit > now.nanoseconds,
            !hasRun || filling.signature != signature
        else {
            pairs[id.index]?.filling = nil
            return examine(id)
        }
        pairs[id.index]?.filling?.signature = signature
        pairs[id.index]?.filling?.nextLook = now.nanoseconds + ServicePair.Filling.quiet
        return []
    }

    mutating func noteExamination(_ id: PairID, _ log: FileID?, at now: Moment) -> [Action] {
        guard let pair = goOn(with: id) else { return abandon(id) }
        // A logger that is supervised goes on though its directory is gone.
        pairs[id.index]?.isLogged = log != nil || pair.logger != nil
        pairs[id.index]?.log = log ?? pair.log
        // Whoever added `log` to a service that is supervised may still be filling it.
        if pair.service != nil && log != nil && log != pair.log {
            pairs[id.index]?.filling = .begun(at: now)
            if pair.hasWriter, let logger = pair.logger {
                return replace(logger, of: id, at: now)
            }
        }
        guard log != nil, !pair.hasWriter else { return open(id, at: now) }
        pairs[id.index]?.isBeingCompleted = true
        // It was removed and is there again. Its logger is still reading what the former service wrote.
        if pair.logger != nil {
            pairs[id.index]?.isBeingCompleted = false
            pairs[id.index]?.restUntil = now.nanoseconds + ScanState.interval
            return []
        }
        return closeReader(of: id) + [.makePipe(id)]
    }

    /// Ends a logger whose name leads to another directory. The next one reads on where it stopped.
    private mutating func replace(_ logger: ServiceID, of id: PairID, at now: Moment) -> [Action] {
        pairs[id.index]?.isBeingCompleted = false
        guard let service = services[logger.index] else { return [] }
        return [.say(.replaced(service.name, pid: service.machine.pid))]
            + tell(logger, .command(.exit), at: now) + tell(logger, .command(.down), at: now)
    }

    mutating func notePipe(_ id: PairID, at now: Moment) -> [Action] {
        pairs[id.index]?.hasWriter = true
        pairs[id.index]?.hasReader = true
        if goOn(with: id) != nil { return open(id, at: now) }
        return closeWriter(of: id) + closeReader(of: id) + abandon(id)
    }

    /// A pair that is still to be completed when an outcome comes.
    func goOn(with id: PairID) -> ServicePair? {
        guard stop == nil, let pair = pairs[id.index], pair.isPresent else { return nil }
        return pair
    }

    /// Leaves a pair as it is, or forgets it if nothing of it is left.
    mutating func abandon(_ id: PairID) -> [Action] {
        guard let pair = pairs[id.index] else { return [] }
        pairs[id.index]?.isBeingCompleted = false
        return pair.isIdle ? forget(id) : []
    }

    /// Trouble with one of the two does not keep the other from being supervised.
    private mutating func open(_ id: PairID, at now: Moment) -> [Action] {
        guard let pair = pairs[id.index] else { return [] }
        pairs[id.index]?.isBeingCompleted = false
        var actions: [Action] = []
        if pair.isLogged && pair.logger == nil && pair.filling == nil {
            let name: ByteString = "\(pair.name)/log"
            let logger = add(Service(name: name, standing: .logger(id), at: now))
            pairs[id.index]?.logger = logger
            actions.append(.open(logger, .logger(name: pair.path, pair.identity), name: name))
        }
        if pair.service == nil {
            let service = add(Service(name: pair.name, standing: .main(id), at: now))
            pairs[id.index]?.service = service
            actions.append(.open(service, .entry(name: pair.path, pair.identity), name: pair.name))
        }
        return actions
    }

    /// Notes why a pair cannot be supervised as a whole, to try again after the interval.
    mutating func noteTrouble(_ id: PairID, _ complaint: Complaint?, at now: Moment) -> [Action] {
        guard let pair = pairs[id.index] else { return [] }
        pairs[id.index]?.isBeingCompleted = false
        pairs[id.index]?.restUntil = now.nanoseconds + ScanState.interval
        if goOn(with: id) == nil { return abandon(id) }
        // Where descriptors are short, what cannot be started must not keep any.
        let actions = pair.isIdle ? closeWriter(of: id) + closeReader(of: id) : []
        guard let complaint else {
            // It is another directory by now, or gone.
            return actions + lookSoon(at: now)
        }
        if let known = pair.serviceComplaint, known.isSameTrouble(as: complaint) { return actions }
        pairs[id.index]?.serviceComplaint = complaint
        return actions + [.say(.complaint(complaint))]
    }
}
