import Bytes
import Formats

@testable import Services

/// What must hold.
extension World {
    func check(_ actions: [Action]) throws {
        for action in actions {
            switch action {
            case .signal(let pid, let signal, _):
                if isDefined(services.first { $0?.process == pid } ?? nil) {
                    try checkDefinedSignal(pid, signal.rawValue)
                    continue
                }
                let expected = ExpectedSignal(pid: pid, signal: signal.rawValue)
                if let index = expectedSignals.firstIndex(of: expected) {
                    try require(
                        !expectedSignals[..<index].contains { $0.pid == pid },
                        "signal \(signal.rawValue) to \(pid) comes too early")
                    expectedSignals.remove(at: index)
                } else {
                    try checkForce(pid, signal.rawValue)
                }
            case .start(let id, _, let launch, _):
                if isDefined(id) {
                    try checkDefinedStart(id.index, launch)
                } else {
                    try checkStart(id.index)
                }
            case .writeStatus(let id, let record): noteDefinedStatus(id, record)
            case .close(let id):
                try checkClose(id.index)
                if isDefined(id) { services[id.index]?.life.isClosed = true }
            default: break
            }
        }
        try checkBound(actions)
        try require(expectedSignals.isEmpty, "did not send \(expectedSignals)")
    }

    private func checkStart(_ index: Int) throws {
        guard services.indices.contains(index), let service = services[index] else {
            throw BrokenInvariant(description: "starts a service that is not open")
        }
        try require(service.process == 0 && !service.isStarting, "starts a second process")
        try require(service.mayStart, "starts what is to be down, or was to run once")
        try require(!service.mustLeave, "starts what is to be supervised no more")
        try require(now >= service.earliestStart, "starts sooner than it may")
        try require(stop == nil || service.isLogger, "starts a service during the stop")
        for case .some(let other) in services where other.process != 0 || other.isStarting {
            try require(
                service.standing == .command || other.standing == .command
                    || other.serial != service.serial || other.isLogger != service.isLogger,
                "starts a second instance of a service")
            if case .main = service.standing, let time = other.superseded {
                // One that was there before has only moved to that name.
                try require(
                    other.lastName != service.name || service.opened < time,
                    "starts the new service beside the old")
            }
        }
        services[index]?.isStarting = true
        services[index]?.due = nil
    }

    private func checkClose(_ index: Int) throws {
        guard services.indices.contains(index), let service = services[index] else { return }
        try require(service.process == 0, "lets go of a service that has a process")
        if !service.isLogger && !(schedule.isDefined && stop != nil) {
            try require(service.mustLeave, "lets go of a service that is to stay")
        }
    }

    // MARK: - The stop

    /// A signal that no event asked for is right only when the time is over.
    private func checkForce(_ pid: Int32, _ signal: Int32) throws {
        guard let stop, let service = services.first(where: { $0?.process == pid }) ?? nil else {
            throw BrokenInvariant(description: "sends \(signal) to \(pid), which nobody asked for")
        }
        let kept =
            switch signal {
            case 9: service.isLogger ? 0 : schedule.reserve
            case 15, 18: service.isLogger ? schedule.reserve / 2 : 0
            default: 0 as UInt64
            }
        try require(
            signal == 9 || service.isLogger, "sends \(signal) to \(pid), which nobody asked for")
        // When the last service is gone is known a little later here, where some end in others' stead.
        try require(
            now >= stop.end - min(stop.end, kept) || schedule.isDefined && service.isLogger,
            "sends \(signal) to \(pid) while there is time")
        if signal == 9 && !service.isLogger { hasKilled = true }
        guard service.isLogger, let index = services.firstIndex(where: { $0?.process == pid })
        else { return }
        services[index]?.mustLeave = true
        services[index]?.due = nil
        if signal == 9 { return }
        services[index]?.wish = .down
        services[index]?.mayStart = false
        services[index]?.isPaused = false
    }

    func checkOthers(_ signals: [ServiceSignal], _ sparing: [Int32]) throws {
        guard let stop else { throw BrokenInvariant(description: "signals to others") }
        let kept = schedule.reserve * 3 / 4
        let isLate = now >= stop.end - min(stop.end, kept)
        try require(!isServiceUp || isLate, "signals to others while there are services")
        try require(signals != [.kill] || isLate, "kills others while there is time")
        for case .some(let service) in services where service.isLogger && service.process != 0 {
            try require(
                now >= stop.end || sparing.contains(service.process), "a logger is not spared")
        }
    }

    func checkEnd(_ ending: Ending, _ code: Int32) throws {
        guard let stop else {
            try require(
                schedule.kind == .supervise && code == (services.contains { $0 != nil } ? 111 : 0)
                    && services.allSatisfy { $0 == nil }
                    || schedule.kind == .supervise && code == 111,
                "ends without being asked to")
            return
        }
        try require(ending == stop.ending, "ends in another way")
        let end =
            schedule.isDefined && !reachesOthers
            ? min(stop.end, (stop.gone ?? stop.end) + schedule.reserve) : stop.end
        let isTimeOver = now >= end + World.second / 2
        try require(isTimeOver || !isAnythingLeft, "ends while something is left")
        let isLate = now >= stop.end - min(stop.end, schedule.reserve)
        let expected =
            stop.essentialCode ?? commandCode
            ?? (hasKilled ? 137 : hasScanDirectory && !hasListed ? 111 : 0)
        // A program that its own limit killed is no service that had to be killed.
        if schedule.isDefined && expected == 137 && code == 0 { return }
        try require(code == expected || isLate && code == 137, "ends with \(code), not \(expected)")
    }

    private var isAnythingLeft: Bool {
        reachesOthers
            ? processes.contains { !$0.hasEnded(at: now) } || hasLoggerToCome
            : services.contains { $0 != nil }
    }

    /// Whether a logger waits to be started that has something to read.
    private var hasLoggerToCome: Bool {
        services.indices.contains { index in
            guard let service = services[index], service.isLogger else { return false }
            return service.due != nil
        }
    }

    // MARK: - At rest

    /// What holds when every outcome has been handed in.
    func checkRest() throws {
        var known = 0
        for index in services.indices {
            guard let service = services[index] else { continue }
            try require(!service.isStarting, "an outcome is missing")
            if service.process != 0 {
                known += 1
                try require(
                    conductor.processes[service.process] == ServiceID(index), "a child is forgotten"
                )
            } else if conductor.services[index]?.machine.isHelperDue != true {
                try require(!service.mustLeave, "does not let go of a service that is to leave")
            }
            if isDefined(service) {
                try checkDefinedRest(service)
                continue
            }
            if let due = service.due, stop == nil || service.isLogger {
                try require(due > now, "a start is owed")
            }
            try checkStatus(service)
        }
        try require(conductor.processes.count == known, "a child too many is known")
        for case .some(let pair) in conductor.pairs.places where stop == nil {
            try require(!pair.isBeingCompleted, "an outcome is waited for that has come")
        }
        try checkPipes()
        if let stop {
            try require(
                isAnythingLeft || reachesOthers && mayHaveChanged, "the stop goes on without need")
            try require(
                now <= stop.end + World.second / 2 + lateness, "the stop takes longer than it may")
        }
        try checkSize()
    }

    private func checkStatus(_ service: SupervisedService) throws {
        guard let status = service.status else { return }
        let want: UInt8 =
            switch service.wish {
            case .up: 0x75
            case .down: 0x64
            case .none: 0
            }
        try require(
            status.pid == UInt32(service.process) && status.isPaused == service.isPaused
                && status.want == want,
            "the status file lies: \(status) of \(service)")
    }

    private func checkPipes() throws {
        for index in conductor.pairs.indices {
            let pipe = pipeOfPair[index].map { pipes[$0] }
            try require(
                (conductor.pairs[index]?.hasWriter ?? false) == (pipe?.isWriterOpen ?? false)
                    && (conductor.pairs[index]?.hasReader ?? false)
                        == (pipe?.isReaderOpen ?? false),
                "an end of a pipe is open, or is not")
            guard stop != nil, pipe?.isWriterOpen == true else { continue }
            try require(
                services.contains { $0?.standing == .main(PairID(index)) },
                "a logger will never see the end of its input")
        }
    }

    /// No more is remembered than there is.
    private func checkSize() throws {
        var pairs = 0
        for case .some(let pair) in conductor.pairs.places
        where !pair.isPresent || files.directory(at: SimulatedFiles.index(of: pair.path)) == nil {
            if pair.isIdle && hasScanDirectory && files.isThere && !pair.isPresent { pairs += 1 }
        }
        try require(pairs == 0 || stop != nil, "an entry is not forgotten")
        try require(
            conductor.services.places.count <= 40 && conductor.pairs.places.count <= 40
                && conductor.scan.complaints.count <= SimulatedFiles.names.count + 1,
            "more is remembered than there is")
    }

    // MARK: - What is in the scan directory

    /// A directory that is being filled is left alone for a moment.
    func checkFirstLook(_ directory: SimulatedDirectory) throws {
        if directory.isWhole || directory.isTakenAsItIs || directory.isSettled { return }
        let isQuiet = directory.hasRun && now >= directory.lastChange + World.second / 5
        let isLongThere = directory.firstListed.map { now >= $0 + 5 * World.second } ?? false
        try require(isQuiet || isLongThere, "takes a directory that is being filled")
    }

    /// After a while without trouble every service of the scan directory is supervised, and none besides that was to
    /// end.
    func checkCalm() throws {
        guard files.isThere, hasScanDirectory else { return }
        for name in files.entries.indices {
            guard let inode = files.directory(at: name) else { continue }
            let isSupervised = services.contains {
                if case .main = $0?.standing { $0?.inode == inode } else { false }
            }
            let logger =
                services.first { $0.map { $0.isLogger && $0.inode == inode } ?? false } ?? nil
            // The first of its names counts.
            let first = files.entries.firstIndex(of: .directory(inode))
            let waits =
                services.contains { $0?.superseded != nil && $0?.lastName == first }
                || services.contains { $0?.isLogger == true && $0?.inode == inode }
                    && !(conductor.pairs.places.contains {
                        $0?.identity.inode == UInt64(inode) && $0?.hasWriter == true
                    })
                || (files.directories[inode]?.lastClosed).map { now < $0 + 5 * World.second }
                    ?? false
            try require(isSupervised || waits, "\(SimulatedFiles.names[name]) is not supervised")
            try require(
                logger != nil || files.directories[inode]?.hasLog == false || waits,
                "\(SimulatedFiles.names[name]) has no logger")
        }
        try checkHeldBack()
        for case .some(let service) in services {
            if case .logger(let pair) = service.standing, let pipe = pipeOfPair[pair.index],
                let index = index(of: service.process)
            {
                let isStuck = processes[index].isStopped || processes[index].hangsUntil > now
                try require(hasWriter(pipe) || isStuck, "a logger goes on without input")
            }
            if isDefined(service) { continue }
            try require(
                service.process != 0 || !service.mayStart || service.due != nil, "is not up")
        }
    }

    func identity(of pair: PairID) -> FileID? { conductor.pairs[pair.index]?.identity }
    func standing(of id: ServiceID) -> Standing? { conductor.services[id.index]?.standing }
}
