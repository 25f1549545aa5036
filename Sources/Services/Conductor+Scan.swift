import Bytes

/// What the scan directory holds, and what follows from it.
extension Conductor {
    /// When to hand in the time for the sake of the scan.
    var scanDeadline: UInt64? {
        guard stop == nil else { return nil }
        var first = scan.due
        var inUse: Set<ByteString>?
        // It is asked for after every event, and to copy the pairs would be most of the work.
        for index in pairs.indices {
            if let due = pairs.places[index]?.overdue { first = min(first ?? due, due) }
            guard pairs.places[index]?.isUnfinished == true, let pair = pairs.places[index] else {
                continue
            }
            let names = inUse ?? namesInUse()
            inUse = names
            if let due = completionTime(of: pair, names) { first = min(first ?? due, due) }
        }
        return first
    }

    /// When to go on with a pair of which something is not supervised, and whose name is not in use.
    func completionTime(of pair: ServicePair, _ inUse: Set<ByteString>) -> UInt64? {
        if !pair.isUnfinished { return nil }
        if !inUse.isEmpty && inUse.contains(pair.path) { return nil }
        return max(pair.filling?.nextLook ?? 0, pair.restUntil)
    }

    mutating func lookIfDue(at now: Moment) -> [Action] {
        guard stop == nil else { return [] }
        if let due = scan.due, due <= now.nanoseconds { return list() }
        return completePairs(at: now)
    }

    /// Lists at once after a quiet time, else when the pause is over.
    mutating func lookSoon(at now: Moment) -> [Action] {
        guard stop == nil, configuration.hasScanDirectory else { return [] }
        if scan.rest <= now.nanoseconds { return list() }
        scan.due = min(scan.due ?? scan.rest, scan.rest)
        return []
    }

    /// Looks at the scan directory now. Services that were told to end but are still there are supervised again,
    /// without the wait that there is otherwise, and a `log` that was added is found.
    mutating func rescan(at now: Moment) -> [Action] {
        guard stop == nil, configuration.hasScanDirectory else { return [] }
        for index in pairs.indices { pairs[index]?.restUntil = 0 }
        scan.looksForLogs = true
        return defineAll() + list()
    }

    /// What directories ask for may have changed, too.
    private func defineAll() -> [Action] {
        services.indices.compactMap { index in
            guard let service = services[index], service.isOpen, case .main = service.standing
            else {
                return nil
            }
            return .define(ServiceID(index))
        }
    }

    private mutating func lookForLogs() -> [Action] {
        guard scan.looksForLogs else { return [] }
        scan.looksForLogs = false
        var actions: [Action] = []
        for index in pairs.indices {
            guard let pair = pairs[index], pair.isPresent, pair.isComplete else { continue }
            actions += examine(PairID(index))
        }
        return actions
    }

    private mutating func list() -> [Action] {
        scan.due = nil
        return [.list]
    }

    mutating func noteNoListing(_ complaint: Complaint, at now: Moment) -> [Action] {
        scan.due = now.nanoseconds + ScanState.interval
        scan.rest = now.nanoseconds + ScanState.pause
        return complain(".", complaint)
    }

    /// Says what is wrong with a name, unless that is known.
    private mutating func complain(_ name: ByteString, _ complaint: Complaint) -> [Action] {
        if scan.complaints[name] == complaint { return [] }
        scan.complaints[name] = complaint
        return [.say(.complaint(complaint))]
    }

    mutating func noteListing(_ listing: Listing, at now: Moment) -> [Action] {
        guard stop == nil else { return [] }
        let isFirst = scan.directory == nil
        var actions: [Action] = []
        let isReplaced = !isFirst && scan.directory != listing.directory
        if isReplaced { actions.append(.say(.directoryReplaced)) }
        scan.directory = listing.directory
        scan.rest = now.nanoseconds + max(ScanState.pause, ScanState.costFactor * listing.cost)

        let before = presentPairs
        var pending = false
        actions += note(listing.entries, areWhole: isFirst, &pending, at: now)
        actions += noteAbsence(of: before, listing, isReplaced: isReplaced, at: now)
        if mayHaveOrder { loseOrder() }
        if pending || !listing.isWatched || !scan.complaints.isEmpty {
            scan.due = max(now.nanoseconds + ScanState.interval, scan.rest)
        }
        return actions + lookForLogs() + completePairs(at: now)
    }

    private var presentPairs: [Int] { pairs.indices.filter { pairs[$0]?.isPresent == true } }

    /// Finds the pair of each entry, or makes one, and says what is wrong. `pending` becomes true when there is
    /// something that may be different later without any change to the directory.
    private mutating func note(
        _ entries: [Listing.Entry], areWhole: Bool, _ pending: inout Bool, at now: Moment
    ) -> [Action] {
        var known: [FileID: Int] = [:]
        for index in pairs.indices {
            if let pair = pairs[index] { known[pair.identity] = index }
            pairs[index]?.isPresent = false
        }
        var actions: [Action] = []
        var complaints = scan.complaints
        scan.complaints = [:]
        for entry in entries {
            switch entry.content {
            case .directory(let identity, let isWhole):
                if let index = known[identity] {
                    see(index, as: entry.name, isWhole)
                } else {
                    known[identity] = add(entry.name, identity, areWhole || isWhole, at: now)
                }
            case .undecided: pending = true
            case .unknown(let complaint):
                if complaints.removeValue(forKey: entry.name) == complaint {
                    scan.complaints[entry.name] = complaint
                } else {
                    actions += complain(entry.name, complaint)
                }
            }
        }
        return actions
    }

    /// Two names of one directory are one service; the first one listed is as good as the other.
    private mutating func see(_ index: Int, as name: ByteString, _ isWhole: Bool) {
        // Renamed to where it is meant to be, it is filled.
        if isWhole { pairs[index]?.filling = nil }
        if pairs[index]?.isPresent == true { return }
        pairs[index]?.isPresent = true
        pairs[index]?.isReplaced = false
        pairs[index]?.overdue = nil
        pairs[index]?.path = name
    }

    private mutating func add(
        _ name: ByteString, _ identity: FileID, _ isWhole: Bool, at now: Moment
    ) -> Int {
        var pair = ServicePair(name: name, identity: identity, path: name)
        if !isWhole { pair.filling = .begun(at: now) }
        return pairs.add(pair)
    }

    /// Ends the services whose name leads to another directory by now; says which ones go on although another scan
    /// directory does not have them; forgets the rest of what is gone.
    private mutating func noteAbsence(
        of before: [Int], _ listing: Listing, isReplaced: Bool, at now: Moment
    ) -> [Action] {
        var actions: [Action] = []
        var names: Set<ByteString> = []
        for entry in listing.entries {
            if case .directory = entry.content { names.insert(entry.name) }
        }
        // All are known to be replaced before the end of one lets the start of another begin.
        var replaced: [PairID] = []
        for index in pairs.indices {
            guard let pair = pairs[index], !pair.isPresent else { continue }
            let id = PairID(index)
            if pair.isIdle {
                if !pair.isBeingCompleted { actions += forget(id) }
            } else if names.contains(pair.path) {
                if !pair.isReplaced { replaced.append(id) }
                pairs[index]?.isReplaced = true
            } else {
                if isReplaced && before.contains(index) && pair.service != nil {
                    actions.append(.say(.gone(pair.name)))
                }
                actions += forsake(id)
            }
        }
        for id in replaced { actions += replace(id, at: now) }
        return actions
    }

    /// Ends the service of a pair whose name leads elsewhere, as `svc -dx` does, and its logger once it has read all.
    private mutating func replace(_ id: PairID, at now: Moment) -> [Action] {
        guard let pair = pairs[id.index] else { return [] }
        guard let service = pair.service, let pid = services[service.index]?.machine.pid else {
            return endInput(of: id, at: now)
        }
        pairs[id.index]?.overdue = now.nanoseconds + ScanState.interval
        return [.say(.replaced(pair.name, pid: pid))]
            + tell(service, .command(.down), at: now) + tell(service, .command(.exit), at: now)
    }

    /// Says once of each service that is to make room for another that it has not done so.
    mutating func remindOfOldServices(at now: Moment) -> [Action] {
        var actions: [Action] = []
        for index in pairs.indices {
            guard let pair = pairs[index], let due = pair.overdue, due <= now.nanoseconds else {
                continue
            }
            pairs[index]?.overdue = nil
            if let service = pair.service, let pid = services[service.index]?.machine.pid, pid != 0
            {
                actions.append(.say(.stillThere(pair.name, pid: pid)))
            }
        }
        return actions
    }

    /// The names whose former service is still there.
    func namesInUse() -> Set<ByteString> {
        var names: Set<ByteString> = []
        for case .some(let pair) in pairs.places where pair.isReplaced && pair.service != nil {
            names.insert(pair.path)
        }
        return names
    }

    mutating func noteDisplacement(_ id: ServiceID, at now: Moment) -> [Action] {
        services[id.index]?.isChecked = true
        if case .logger(let pair) = services[id.index]?.standing {
            return examine(pair) + tell(id, .postponed, at: now)
        }
        return list() + tell(id, .postponed, at: now)
    }

    mutating func noteLogger(_ id: ServiceID, at now: Moment) -> [Action] {
        services[id.index]?.isChecked = true
        guard case .main(let pair) = services[id.index]?.standing else { return [] }
        return examine(pair) + tell(id, .postponed, at: now)
    }
}
