import Bytes
import Formats
import Services

/// What the simulated kernel makes of actions.
extension World {
    func perform(_ action: Action) throws -> Event? {
        try require(!isOver, "something is done after the end")
        switch action {
        case .list: return list()
        case .inspect(let pair, let name, let identity): return inspect(pair, name, identity)
        case .examine(let pair, let name, let identity): return try examine(pair, name, identity)
        case .makePipe(let pair): return try makePipe(pair)
        case .closeWriter(let pair): try closeWriter(pair)
        case .closeReader(let pair): try closeReader(pair)
        case .open(let id, let place, _): return try open(id, place)
        case .close(let id):
            guard let service = service(id) else {
                throw BrokenInvariant(description: "closes a service that is not open")
            }
            if files.directories.indices.contains(service.inode) {
                files.directories[service.inode]?.lastClosed = now
            }
            services[id.index] = nil
        case .start(let id, let standing, let launch, let checks):
            return try start(id, standing, launch, checks)
        case .accompany(let id, _, _, _): return .accompanied(id, .absent)
        case .define(let id): return .defined(id, definition(at: service(id)?.inode ?? -1))
        case .probe, .killRest, .awaitConnection, .closeHeld: break
        case .signal(let pid, let signal, _):
            guard let index = index(of: pid) else {
                throw BrokenInvariant(description: "a signal to \(pid), which is no child")
            }
            receive(signal.rawValue, index)
        case .writeStatus(let id, let record):
            try require(service(id) != nil, "a status file of a service that is not open")
            services[id.index]?.status = record
        case .signalOthers(let signals, let sparing): try signalOthers(signals, sparing)
        case .expectChildren: mayHaveChanged = true
        case .say: break
        case .end(let ending, let code): try end(ending, code)
        }
        return nil
    }

    func service(_ id: ServiceID) -> SupervisedService? {
        services.indices.contains(id.index) ? services[id.index] : nil
    }

    private func makePipe(_ pair: PairID) throws -> Event? {
        if let old = pipeOfPair[pair.index] {
            try require(!pipes[old].isReaderOpen && !pipes[old].isWriterOpen, "a second pipe")
        }
        if fails(.pipe) { return .notPiped(pair, Complaint("unable to create pipe", errno: 24)) }
        guard let identity = identity(of: pair) else {
            throw BrokenInvariant(description: "a pipe for nothing")
        }
        let inode = Int(identity.inode)
        pipes.append(
            SimulatedPipe(
                pair: pair.index, inode: inode, serial: files.directories[inode]?.serial ?? 0))
        pipeOfPair[pair.index] = pipes.count - 1
        return .piped(pair)
    }

    private func closeWriter(_ pair: PairID) throws {
        guard let pipe = pipeOfPair[pair.index], pipes[pipe].isWriterOpen else {
            throw BrokenInvariant(description: "closes a writing end that is not open")
        }
        try require(
            !services.contains { $0?.standing == .main(pair) },
            "closes the writing end of a service that is there")
        pipes[pipe].isWriterOpen = false
    }

    private func closeReader(_ pair: PairID) throws {
        guard let pipe = pipeOfPair[pair.index], pipes[pipe].isReaderOpen else {
            throw BrokenInvariant(description: "closes a reading end that is not open")
        }
        // One that came back without a logger has nothing to do with the pipe.
        try require(
            !pipes[pipe].isWriterOpen || !services.contains { $0?.standing == .main(pair) },
            "closes the reading end of a service that is there")
        pipes[pipe].isReaderOpen = false
        try noteLoss(pipe, nobodyNeeds(pipe))
    }

    /// Whether it is right that nobody reads a pipe any more.
    private func nobodyNeeds(_ pipe: Int) -> Bool {
        if let stop, now >= stop.end - min(stop.end, schedule.reserve / 2) { return true }
        let logger = services.first { $0?.standing == .logger(PairID(pipes[pipe].pair)) } ?? nil
        guard let logger, !logger.wasToldToGo else { return true }
        // One that crashed, or could not be run, when it was to read the rest is not started again.
        return logger.process != 0
    }

    private func open(_ id: ServiceID, _ place: Place) throws -> Event? {
        try require(service(id) == nil, "opens a service that is open")
        while services.count <= id.index { services.append(nil) }
        let inode: Int
        var name = 0
        var isLogger = false
        switch place {
        case .path: inode = 0
        case .entry(let text, let identity), .logger(let text, let identity):
            if case .logger = place { isLogger = true }
            name = SimulatedFiles.index(of: text)
            inode = Int(identity.inode)
            guard let found = found(text, identity), !isLogger || found.hasLog else {
                return .notOpened(id, Complaint("unable to switch to \(text)", errno: 2))
            }
            if found.isLocked {
                return .notOpened(id, Complaint("unable to acquire \(text)", errno: 11))
            }
        }
        if fails(.open) { return .notOpened(id, Complaint("unable to open", errno: 24)) }
        guard let directory = files.directories[inode] else {
            throw BrokenInvariant(description: "opens what is not there")
        }
        try require(
            !services.contains { $0?.inode == inode && $0?.isLogger == isLogger },
            "opens a directory a second time")
        services[id.index] = SupervisedService(
            standing: standing(of: id) ?? .single, inode: inode, serial: directory.serial,
            isLogger: isLogger, name: name, at: now)
        let definition = isLogger ? nil : directory.definition
        if directory.isDown && !isLogger { services[id.index]?.wish = .down }
        return .opened(id, isDown: directory.isDown && !isLogger, definition)
    }

    private func start(
        _ id: ServiceID, _ standing: Standing, _ launch: Launch, _ checks: Bool
    ) throws -> Event? {
        guard let service = service(id), service.standing == standing else {
            throw BrokenInvariant(description: "starts a service that is not there")
        }
        services[id.index]?.life.nextRole = launch.role
        let isFirst = launch.role == .run || launch.role == .prepare
        if case .main(let pair) = standing, isFirst {
            if let outcome = try look(id, service, pair, checks) { return outcome }
        }
        if case .main = standing, isFirst, checks,
            definition(at: service.inode) != launch.definition
        {
            return .redefined(id, definition(at: service.inode))
        }
        if fails(.congestion) { return .congested(id) }
        if fails(.fork) { return .refused(id, errno: 11) }
        spawned += 1
        mayHaveChanged = true
        var process = SimulatedProcess(
            pid: pid(), role: .service(id.index),
            delay: [0, 1_000_000, 300_000_000, 2_000_000_000][spawned % 4])
        switch standing {
        case .main(let pair):
            if let pipe = pipeOfPair[pair.index], pipes[pipe].isWriterOpen { process.writer = pipe }
        case .logger(let pair):
            guard let pipe = pipeOfPair[pair.index], pipes[pipe].isReaderOpen else {
                throw BrokenInvariant(description: "a logger without input")
            }
            process.reader = pipe
        case .single, .command: break
        }
        let hasRun =
            !isFirst || launch.definition != nil || service.isLogger || files.directories.isEmpty
            || standing == .command
            || files.directories[service.inode]?.hasRun == true
        if fails(.exec) || !hasRun {
            process.startError = hasRun ? 13 : 2
            process.status = 111 << 8
            process.end = now
        }
        processes.append(process)
        return .started(id, pid: process.pid)
    }

    /// What has moved or appeared in the meantime.
    private func look(
        _ id: ServiceID, _ service: SupervisedService, _ pair: PairID, _ checks: Bool
    ) throws -> Event? {
        let hasPipe = pipeOfPair[pair.index].map { pipes[$0].isWriterOpen } ?? false
        let hasLog = files.directories[service.inode]?.hasLog == true
        guard checks else {
            let examined = files.directories[service.inode]?.lastExamined ?? 0
            try require(
                !hasLog || hasPipe || examined + World.second > now,
                "a service with a `log` is started without a look for it")
            return nil
        }
        let there = files.directory(at: service.name)
        let moved = there.map { $0 != service.inode } ?? false
        if !moved || hasLog { files.directories[service.inode]?.lastExamined = now }
        if moved {
            files.directories[service.inode]?.lastExamined = now
            return .displaced(id)
        }
        return hasLog && !hasPipe ? .loggerAppeared(id) : nil
    }

    private func signalOthers(_ signals: [ServiceSignal], _ sparing: [Int32]) throws {
        try require(reachesOthers, "signals to others")
        try checkOthers(signals, sparing)
        for index in processes.indices where !sparing.contains(processes[index].pid) {
            for signal in signals { receive(signal.rawValue, index) }
        }
    }

    private func end(_ ending: Ending, _ code: Int32) throws {
        try checkEnd(ending, code)
        for pipe in pipes.indices where pipes[pipe].isReaderOpen {
            pipes[pipe].isReaderOpen = false
            try noteLoss(pipe, nobodyNeeds(pipe))
        }
        isOver = true
    }
}
