import Bytes

// How what a service directory asks for is written to a snapshot, and read from one.

extension ServiceDefinition {
    func write(to writer: inout SnapshotWriter) {
        writer.write(kind.rawValue)
        writer.write(programs.rawValue)
        writer.write(dialect.rawValue)
        for names in [needs, wants, after, before, contents, producers] {
            writer.write(names) { $0.write($1) }
        }
        for name in [consumer, pipelineName] { writer.write(name) { $0.write($1) } }
        readiness.write(to: &writer)
        writer.write(ifLate.rawValue)
        writer.write(restart.rawValue)
        writer.write(delay)
        writer.write(longestDelay)
        writer.write(restartLimit) { $0.write($1) }
        writer.write(limitWindow)
        for endings in [successes, finals] { writer.write(endings) { $1.write(to: &$0) } }
        onEnd.write(to: &writer)
        onFailure.write(to: &writer)
        writer.write(stopSignal)
        writer.write(reloadSignal)
        writer.write(stopReach.rawValue)
        for flag in [isEssential, killsGroup, startsOnConnection] { writer.write(flag) }
        for limit in [readyLimit, watchdog, stopLimit, finishLimit, upLimit, downLimit] {
            writer.write(limit) { $0.write($1) }
        }
        writer.write(environment) { $0.write($1) }
        writer.write(sockets) {
            $0.write($1.kind.rawValue)
            $0.write($1.address)
            $0.write($1.name)
        }
        writer.write(storeLimit)
    }

    init(from reader: inout SnapshotReader) throws(SnapshotError) {
        self.init()
        kind = try reader.word()
        programs = Programs(rawValue: try reader.number())
        dialect = try reader.word()
        needs = try reader.texts()
        wants = try reader.texts()
        after = try reader.texts()
        before = try reader.texts()
        contents = try reader.texts()
        producers = try reader.texts()
        consumer = try reader.optional { (reader) throws(SnapshotError) in try reader.text() }
        pipelineName = try reader.optional { (reader) throws(SnapshotError) in try reader.text() }
        readiness = try Readiness(from: &reader)
        ifLate = try reader.word()
        restart = try reader.word()
        delay = try reader.time()
        longestDelay = try reader.time()
        restartLimit = try reader.optional { (reader) throws(SnapshotError) in
            try reader.number()
        }
        limitWindow = try reader.time()
        successes = try reader.list { (reader) throws(SnapshotError) in try Ending(from: &reader) }
        finals = try reader.list { (reader) throws(SnapshotError) in try Ending(from: &reader) }
        onEnd = try Consequence(from: &reader)
        onFailure = try Consequence(from: &reader)
        stopSignal = try reader.number()
        reloadSignal = try reader.number()
        stopReach = try reader.word()
        isEssential = try reader.flag()
        killsGroup = try reader.flag()
        startsOnConnection = try reader.flag()
        readyLimit = try reader.limit()
        watchdog = try reader.limit()
        stopLimit = try reader.limit()
        finishLimit = try reader.limit()
        upLimit = try reader.limit()
        downLimit = try reader.limit()
        environment = try reader.optional { (reader) throws(SnapshotError) in try reader.text() }
        sockets = try reader.list { (reader) throws(SnapshotError) in
            Socket(
                kind: try reader.word(), address: try reader.text(), name: try reader.text())
        }
        storeLimit = try reader.number()
    }
}

extension ServiceDefinition.Readiness {
    fileprivate func write(to writer: inout SnapshotWriter) {
        switch self {
        case .start: writer.write(UInt8(0))
        case .descriptor(let number):
            writer.write(UInt8(1))
            writer.write(number)
        case .notify: writer.write(UInt8(2))
        case .command(let text): writer.write(UInt8(3), text)
        case .tcp(let text): writer.write(UInt8(4), text)
        case .unix(let text): writer.write(UInt8(5), text)
        }
    }

    fileprivate init(from reader: inout SnapshotReader) throws(SnapshotError) {
        switch try reader.number(UInt8.self) {
        case 0: self = .start
        case 1: self = .descriptor(try reader.number())
        case 2: self = .notify
        case 3: self = .command(try reader.text())
        case 4: self = .tcp(try reader.text())
        case 5: self = .unix(try reader.text())
        default: throw .damaged
        }
    }
}

extension ServiceDefinition.Consequence {
    fileprivate func write(to writer: inout SnapshotWriter) {
        switch self {
        case .nothing: writer.write(UInt8(0))
        case .restartDependents: writer.write(UInt8(1))
        case .run(let name): writer.write(UInt8(2), name)
        }
    }

    fileprivate init(from reader: inout SnapshotReader) throws(SnapshotError) {
        switch try reader.number(UInt8.self) {
        case 0: self = .nothing
        case 1: self = .restartDependents
        case 2: self = .run(try reader.text())
        default: throw .damaged
        }
    }
}

extension ServiceDefinition.Ending {
    fileprivate func write(to writer: inout SnapshotWriter) {
        switch self {
        case .code(let code):
            writer.write(UInt8(0))
            writer.write(Int32(code))
        case .signal(let signal):
            writer.write(UInt8(1))
            writer.write(signal)
        }
    }

    fileprivate init(from reader: inout SnapshotReader) throws(SnapshotError) {
        let kind: UInt8 = try reader.number()
        let number: Int32 = try reader.number()
        switch kind {
        case 0: self = .code(UInt8(truncatingIfNeeded: number))
        case 1: self = .signal(number)
        default: throw .damaged
        }
    }
}

extension SnapshotWriter {
    fileprivate mutating func write(_ kind: UInt8, _ text: ByteString) {
        write(kind)
        write(text)
    }
}

extension SnapshotReader {
    fileprivate mutating func texts() throws(SnapshotError) -> [ByteString] {
        try list { (reader) throws(SnapshotError) in try reader.text() }
    }

    /// Nanoseconds that can be added to any time.
    fileprivate mutating func time() throws(SnapshotError) -> UInt64 {
        let time: UInt64 = try number()
        guard time <= StopPlan.longest else { throw .damaged }
        return time
    }

    mutating func limit() throws(SnapshotError) -> UInt64? {
        try optional { (reader) throws(SnapshotError) in try reader.time() }
    }
}
