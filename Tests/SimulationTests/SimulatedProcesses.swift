import Services

/// A process of the simulated kernel.
struct SimulatedProcess {
    enum Role: Equatable {
        /// The process of a service, a logger or the main command.
        case service(Int)
        /// One that a service left behind, or that came from elsewhere.
        case other
    }

    let pid: Int32
    let role: Role
    /// The pipe that it writes to or reads from.
    var writer: Int?
    var reader: Int?
    /// When it ends, and how.
    var end: UInt64?
    var status: Int32 = 0
    var startError: Int32 = 0
    var isStopped = false
    var ignores = false
    var hasPendingTermination = false
    /// Before when it does not even end by SIGKILL.
    var hangsUntil: UInt64 = 0
    /// Whether it has read all that there will ever be.
    var isAtEnd = false
    /// How long it takes to end when it is told to.
    var delay: UInt64

    func hasEnded(at now: UInt64) -> Bool { end.map { $0 <= now } ?? false }
}

/// The pipe between a service and its logger.
struct SimulatedPipe {
    static let capacity = 8

    let pair: Int
    /// Whose bytes they are.
    let inode: Int
    let serial: Int
    /// The bytes in it, by number.
    var bytes = 0..<0
    /// Whether the supervisor has these ends open.
    var isReaderOpen = true
    var isWriterOpen = true
    var isOpen: Bool { isReaderOpen || isWriterOpen || !bytes.isEmpty }
}

/// What processes do.
extension World {
    func pid() -> Int32 {
        // Few numbers, so that they are soon used again.
        repeat { lastPid = lastPid % 40 + 1 } while processes.contains { $0.pid == lastPid }
        return lastPid
    }

    func index(of pid: Int32) -> Int? { processes.firstIndex { $0.pid == pid } }

    /// The place of a process that is alive.
    func pick(_ number: Int, where isMeant: (SimulatedProcess) -> Bool = { _ in true }) -> Int? {
        for offset in processes.indices {
            let index = (number % processes.count + offset) % processes.count
            if !processes[index].hasEnded(at: now) && isMeant(processes[index]) { return index }
        }
        return nil
    }

    /// How a signal works on a process.
    func receive(_ signal: Int32, _ index: Int) {
        if processes[index].hasEnded(at: now) { return }
        switch signal {
        case 9: end(index, status: 9, at: max(now, processes[index].hangsUntil))
        case 19: processes[index].isStopped = true
        case 18:
            processes[index].isStopped = false
            if processes[index].hasPendingTermination { terminate(index, 15) }
        case 2, 3, 15:
            if processes[index].isStopped {
                processes[index].hasPendingTermination = true
            } else {
                terminate(index, signal)
            }
        default: break
        }
    }

    private func terminate(_ index: Int, _ signal: Int32) {
        processes[index].hasPendingTermination = false
        if processes[index].ignores { return }
        // A logger finishes what it has begun to write, and is not in a hurry otherwise.
        end(index, status: signal, at: now + processes[index].delay)
    }

    func end(_ index: Int, status: Int32, at time: UInt64) {
        if let end = processes[index].end, end <= time { return }
        processes[index].end = max(time, processes[index].hangsUntil)
        processes[index].status = status
    }

    func write(_ number: Int, _ count: Int) throws {
        guard
            let index = pick(
                number, where: { $0.writer != nil && $0.role != .other && !$0.isStopped }),
            let pipe = processes[index].writer
        else { return }
        try require(hasReader(pipe), "a service writes to a pipe that nobody can read")
        let inode = pipes[pipe].inode
        guard files.directories[inode]?.serial == pipes[pipe].serial else { return }
        let next = files.directories[inode]?.nextWritten ?? 0
        let room = SimulatedPipe.capacity - pipes[pipe].bytes.count
        if pipes[pipe].bytes.isEmpty { pipes[pipe].bytes = next..<next }
        try require(pipes[pipe].bytes.upperBound == next, "bytes of two services in one pipe")
        let last = next + min(count, room)
        pipes[pipe].bytes = pipes[pipe].bytes.lowerBound..<last
        files.directories[inode]?.nextWritten = last
    }

    func hasReader(_ pipe: Int) -> Bool {
        pipes[pipe].isReaderOpen
            || processes.contains { $0.reader == pipe && !$0.hasEnded(at: now) }
    }

    func hasWriter(_ pipe: Int) -> Bool {
        pipes[pipe].isWriterOpen
            || processes.contains { $0.writer == pipe && !$0.hasEnded(at: now) }
    }

    /// A logger reads; at the end of its input it ends.
    func read(_ index: Int, _ count: Int) throws {
        guard let pipe = processes[index].reader, processes[index].role != .other,
            !processes[index].isStopped, !processes[index].hasEnded(at: now)
        else { return }
        let bytes = pipes[pipe].bytes
        if bytes.isEmpty {
            if !hasWriter(pipe) {
                processes[index].isAtEnd = true
                end(index, status: 0, at: now)
            }
            return
        }
        let last = min(bytes.lowerBound + count, bytes.upperBound)
        pipes[pipe].bytes = last..<bytes.upperBound
        let inode = pipes[pipe].inode
        guard var directory = files.directories[inode], directory.serial == pipes[pipe].serial
        else { return }
        while let skipped = directory.lost.first(where: {
            $0.lowerBound <= directory.nextRead && $0.upperBound > directory.nextRead
        }) {
            directory.nextRead = skipped.upperBound
        }
        try require(
            directory.nextRead == bytes.lowerBound,
            "a logger reads byte \(bytes.lowerBound) when byte \(directory.nextRead) is next")
        directory.nextRead = last
        files.directories[inode] = directory
    }

    /// Every logger reads what there is.
    func readAll() throws {
        for index in processes.indices where processes[index].reader != nil {
            try read(index, SimulatedPipe.capacity)
            try read(index, SimulatedPipe.capacity)
        }
    }

    /// What cannot be read any more is lost, which is right only for a reason.
    func noteLoss(_ pipe: Int, _ reason: @autoclosure () -> Bool) throws {
        // What a logger left behind reads nothing.
        let isRead = processes.contains {
            $0.reader == pipe && $0.role != .other && !$0.hasEnded(at: now)
        }
        if pipes[pipe].isReaderOpen || isRead || pipes[pipe].bytes.isEmpty { return }
        try require(reason(), "the bytes \(pipes[pipe].bytes) of \(pipes[pipe].inode) are lost")
        let inode = pipes[pipe].inode
        if files.directories[inode]?.serial == pipes[pipe].serial {
            files.directories[inode]?.lost.append(pipes[pipe].bytes)
        }
        pipes[pipe].bytes = 0..<0
    }

    /// Ends the processes whose time has come; those that hung at the end of their pipes go with them.
    func reap() throws {
        while let index = processes.firstIndex(where: { $0.hasEnded(at: now) }) {
            let process = processes.remove(at: index)
            if let pipe = process.reader { try noteLoss(pipe, true) }
            if !isOurs(process) { continue }
            try happen(
                .died(
                    pid: process.pid,
                    Death(status: process.status, startError: process.startError)))
        }
        if mayHaveChanged, !processes.contains(where: isOurs) {
            mayHaveChanged = false
            try happen(.noChildrenLeft)
        }
    }

    /// Whether a process is a child of the supervisor: orphans are only if it is process 1 or a subreaper.
    func isOurs(_ process: SimulatedProcess) -> Bool { process.role != .other || reachesOthers }
}
