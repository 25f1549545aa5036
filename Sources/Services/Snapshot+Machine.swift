import Formats

// How what one service is, and what it did before, is written to a snapshot, and read from one.

extension ServiceMachine {
    func write(to writer: inout SnapshotWriter) {
        state.write(to: &writer)
        writer.write(wish.rawValue)
        role.write(to: &writer)
        for flag in [
            isPaused, isLeaving, isOrdered, isReady, isStopping, isKilled, isExpected, wasStopped,
            hasFailed,
            wasTerminated, isPrepared, isAnnounced, mustUndo,
        ] {
            writer.write(flag)
        }
        writer.write(sentence) { $0.write($1.rawValue) }
        writer.write(reason.rawValue)
        writer.write(lastDeath) { $1.write(to: &$0) }
        writer.write(starts)
        for number in [history.failures, history.restarts] { writer.write(number) }
        writer.write(history.windowStart)
        for time in [killTime, readyTime, pingTime] { writer.write(time) { $0.write($1) } }
        writer.write(startTime)
        writer.write(endTime)
        writer.write(earliestStart)
        writer.write(refusals)
        writer.write(congestions)
    }

    init(from reader: inout SnapshotReader) throws(SnapshotError) {
        state = try State(from: &reader)
        wish = try reader.word()
        role = try ProgramRole(from: &reader)
        isPaused = try reader.flag()
        isLeaving = try reader.flag()
        isOrdered = try reader.flag()
        isReady = try reader.flag()
        isStopping = try reader.flag()
        isKilled = try reader.flag()
        isExpected = try reader.flag()
        wasStopped = try reader.flag()
        hasFailed = try reader.flag()
        wasTerminated = try reader.flag()
        isPrepared = try reader.flag()
        isAnnounced = try reader.flag()
        mustUndo = try reader.flag()
        sentence = try reader.optional { (reader) throws(SnapshotError) in try reader.word() }
        reason = try reader.word()
        lastDeath = try reader.optional { (reader) throws(SnapshotError) in
            try Death(from: &reader)
        }
        starts = try reader.number()
        history.failures = try reader.number()
        history.restarts = try reader.number()
        history.windowStart = try reader.number()
        killTime = try reader.optional { (reader) throws(SnapshotError) in try reader.number() }
        readyTime = try reader.optional { (reader) throws(SnapshotError) in try reader.number() }
        pingTime = try reader.optional { (reader) throws(SnapshotError) in try reader.number() }
        startTime = try reader.number()
        endTime = try reader.number()
        earliestStart = try reader.number()
        refusals = try reader.number()
        congestions = try reader.number()
    }
}

extension ServiceMachine.State {
    fileprivate func write(to writer: inout SnapshotWriter) {
        switch self {
        case .down: writer.write(UInt8(0))
        case .waiting(let time):
            writer.write(UInt8(1))
            writer.write(time)
        case .starting: writer.write(UInt8(2))
        case .up(let pid):
            writer.write(UInt8(3))
            writer.write(pid)
        case .over: writer.write(UInt8(4))
        case .blocked: writer.write(UInt8(5))
        case .busy(let pid):
            writer.write(UInt8(6))
            writer.write(pid)
        case .done: writer.write(UInt8(7))
        case .failed: writer.write(UInt8(8))
        }
    }

    fileprivate init(from reader: inout SnapshotReader) throws(SnapshotError) {
        switch try reader.number(UInt8.self) {
        case 0: self = .down
        case 1: self = .waiting(until: try reader.number())
        case 2: self = .starting
        case 3: self = .up(pid: try reader.process())
        case 4: self = .over
        case 5: self = .blocked
        case 6: self = .busy(pid: try reader.process())
        case 7: self = .done
        case 8: self = .failed
        default: throw .damaged
        }
    }
}

extension ProgramRole {
    func write(to writer: inout SnapshotWriter) {
        switch self {
        case .run: writer.write(UInt8(0))
        case .prepare: writer.write(UInt8(1))
        case .finish(let death, let pid):
            writer.write(UInt8(2))
            death.write(to: &writer)
            writer.write(pid)
        case .stop: writer.write(UInt8(3))
        case .undo: writer.write(UInt8(4))
        case .announce: writer.write(UInt8(5))
        }
    }

    init(from reader: inout SnapshotReader) throws(SnapshotError) {
        switch try reader.number(UInt8.self) {
        case 0: self = .run
        case 1: self = .prepare
        case 2: self = .finish(try Death(from: &reader), pid: try reader.process())
        case 3: self = .stop
        case 4: self = .undo
        case 5: self = .announce
        default: throw .damaged
        }
    }
}

extension Death {
    func write(to writer: inout SnapshotWriter) {
        writer.write(status)
        writer.write(startError)
        writer.write(ranOutOfMemory)
    }

    init(from reader: inout SnapshotReader) throws(SnapshotError) {
        self.init(
            status: try reader.number(), startError: try reader.number(),
            ranOutOfMemory: try reader.flag())
    }
}

extension SnapshotReader {
    /// The id of a process.
    mutating func process() throws(SnapshotError) -> Int32 {
        let pid: Int32 = try number()
        guard pid > 0 else { throw .damaged }
        return pid
    }

    /// One of a few named values.
    mutating func word<Word: RawRepresentable>() throws(SnapshotError) -> Word
    where Word.RawValue == UInt8 {
        guard let word = Word(rawValue: try number()) else { throw .damaged }
        return word
    }
}
