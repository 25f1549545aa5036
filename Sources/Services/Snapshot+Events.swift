import Bytes
import Formats

// How events are written to a journal, and read from one.

extension Event {
    func write(to writer: inout SnapshotWriter) {
        switch self {
        case .began: writer.write(UInt8(0))
        case .commanded(let id, let command): writer.write(1, id, command.rawValue)
        case .groupCommanded(let id, let command): writer.write(9, id, command.rawValue)
        case .died(let pid, let death):
            writer.write(UInt8(2))
            writer.write(pid)
            death.write(to: &writer)
        case .noChildrenLeft: writer.write(UInt8(3))
        case .directoryChanged: writer.write(UInt8(4))
        case .rescanAsked: writer.write(UInt8(5))
        case .stopAsked(let ending, let signal):
            writer.write(UInt8(6))
            writer.write(ending.rawValue)
            writer.write(signal.rawValue)
        case .forwarded(let signal):
            writer.write(UInt8(7))
            writer.write(signal.rawValue)
        case .timePassed: writer.write(UInt8(8))
        case .opened, .notOpened, .started, .adopted, .defined, .redefined, .ready, .said,
            .connected,
            .refused, .notPrepared, .congested, .accompanied, .displaced, .loggerAppeared:
            writeOutcomeOfService(to: &writer)
        case .listed, .notListed, .inspected, .examined, .notExamined, .piped, .notPiped:
            writeOutcomeOfScan(to: &writer)
        }
    }

    private func writeOutcomeOfScan(to writer: inout SnapshotWriter) {
        switch self {
        case .listed(let listing):
            writer.write(UInt8(20))
            listing.write(to: &writer)
        case .notListed(let complaint):
            writer.write(UInt8(21))
            complaint.write(to: &writer)
        case .inspected(let pair, let signature, let hasRun):
            writer.write(22, pair)
            writer.write(signature)
            writer.write(hasRun)
        case .examined(let pair, let log):
            writer.write(23, pair)
            writer.write(log) { $1.write(to: &$0) }
        case .notExamined(let pair, let complaint):
            writer.write(24, pair)
            writer.write(complaint) { $1.write(to: &$0) }
        case .piped(let pair): writer.write(25, pair)
        case .notPiped(let pair, let complaint):
            writer.write(26, pair)
            complaint.write(to: &writer)
        default: break
        }
    }

    private func writeOutcomeOfService(to writer: inout SnapshotWriter) {
        switch self {
        case .opened(let id, let isDown, let definition):
            writer.write(30, id, isDown ? 1 : 0)
            writer.write(definition) { $1.write(to: &$0) }
        case .notOpened(let id, let complaint):
            writer.write(31, id)
            complaint.write(to: &writer)
        case .started(let id, let pid):
            writer.write(32, id)
            writer.write(pid)
        case .defined(let id, let definition):
            writer.write(33, id)
            writer.write(definition) { $1.write(to: &$0) }
        case .redefined(let id, let definition):
            writer.write(34, id)
            writer.write(definition) { $1.write(to: &$0) }
        case .ready(let id): writer.write(35, id)
        case .said(let id, let notice):
            writer.write(36, id)
            notice.write(to: &writer)
        case .connected(let id): writer.write(37, id)
        case .refused(let id, let errno):
            writer.write(38, id)
            writer.write(errno)
        case .notPrepared(let id, let complaint):
            writer.write(39, id)
            complaint.write(to: &writer)
        case .congested(let id): writer.write(40, id)
        case .accompanied(let id, let outcome):
            writer.write(41, id)
            outcome.write(to: &writer)
        case .displaced(let id): writer.write(42, id)
        case .adopted(let id, let pid, let since, let isReady):
            writer.write(44, id, isReady ? 1 : 0)
            writer.write(pid)
            writer.write(since.seconds)
            writer.write(since.nanoseconds)
        case .loggerAppeared(let id): writer.write(43, id)
        default: break
        }
    }

    init(from reader: inout SnapshotReader) throws(SnapshotError) {
        let kind: UInt8 = try reader.number()
        switch kind {
        case 0: self = .began
        case 1: self = .commanded(try reader.service(), try reader.word())
        case 2: self = .died(pid: try reader.process(), try Death(from: &reader))
        case 3: self = .noChildrenLeft
        case 4: self = .directoryChanged
        case 5: self = .rescanAsked
        case 6: self = .stopAsked(try reader.word(), signal: try reader.signal())
        case 7: self = .forwarded(try reader.signal())
        case 8: self = .timePassed
        case 9: self = .groupCommanded(try reader.service(), try reader.word())
        case 20...29: self = try Event.outcomeOfScan(kind, from: &reader)
        case 30...49: self = try Event.outcomeOfService(kind, from: &reader)
        default: throw .damaged
        }
    }

    private static func outcomeOfScan(_ kind: UInt8, from reader: inout SnapshotReader)
        throws(SnapshotError) -> Event
    {
        switch kind {
        case 20: return .listed(try Listing(from: &reader))
        case 21: return .notListed(try Complaint(from: &reader))
        case 22:
            return .inspected(
                try reader.pair(), signature: try reader.number(), hasRun: try reader.flag())
        case 23:
            return .examined(
                try reader.pair(),
                log: try reader.optional { (reader) throws(SnapshotError) in
                    try FileID(from: &reader)
                })
        case 24:
            return .notExamined(
                try reader.pair(),
                try reader.optional { (reader) throws(SnapshotError) in
                    try Complaint(from: &reader)
                })
        case 25: return .piped(try reader.pair())
        case 26: return .notPiped(try reader.pair(), try Complaint(from: &reader))
        default: throw .damaged
        }
    }

    private static func outcomeOfService(_ kind: UInt8, from reader: inout SnapshotReader)
        throws(SnapshotError) -> Event
    {
        let id = try reader.service()
        switch kind {
        case 30: return .opened(id, isDown: try reader.flag(), try reader.definition())
        case 31: return .notOpened(id, try Complaint(from: &reader))
        case 32: return .started(id, pid: try reader.process())
        case 33: return .defined(id, try reader.definition())
        case 34: return .redefined(id, try reader.definition())
        case 35: return .ready(id)
        case 36: return .said(id, try ServiceNotice(from: &reader))
        case 37: return .connected(id)
        case 38: return .refused(id, errno: try reader.number())
        case 39: return .notPrepared(id, try Complaint(from: &reader))
        case 40: return .congested(id)
        case 41: return .accompanied(id, try CompanionOutcome(from: &reader))
        case 42: return .displaced(id)
        case 43: return .loggerAppeared(id)
        case 44:
            let isReady = try reader.flag()
            return .adopted(
                id, pid: try reader.process(),
                since: TAI64N(label: try reader.number(), nanoseconds: try reader.number()),
                isReady: isReady)
        default: throw .damaged
        }
    }
}

extension Listing {
    fileprivate func write(to writer: inout SnapshotWriter) {
        directory.write(to: &writer)
        writer.write(cost)
        writer.write(isWatched)
        writer.write(entries) {
            $0.write($1.name)
            switch $1.content {
            case .directory(let identity, let isWhole):
                $0.write(UInt8(isWhole ? 1 : 0))
                identity.write(to: &$0)
            case .undecided: $0.write(UInt8(2))
            case .unknown(let complaint):
                $0.write(UInt8(3))
                complaint.write(to: &$0)
            }
        }
    }

    fileprivate init(from reader: inout SnapshotReader) throws(SnapshotError) {
        let directory = try FileID(from: &reader)
        let cost: UInt64 = try reader.number()
        let isWatched = try reader.flag()
        let entries = try reader.list { (reader) throws(SnapshotError) in
            let name = try reader.text()
            let content: Content
            let kind: UInt8 = try reader.number()
            switch kind {
            case 0, 1: content = .directory(try FileID(from: &reader), isWhole: kind == 1)
            case 2: content = .undecided
            case 3: content = .unknown(try Complaint(from: &reader))
            default: throw .damaged
            }
            return Entry(name: name, content: content)
        }
        self.init(directory: directory, entries: entries, cost: cost, isWatched: isWatched)
    }
}

extension ServiceNotice {
    fileprivate func write(to writer: inout SnapshotWriter) {
        switch self {
        case .reloading: writer.write(UInt8(0))
        case .stopping: writer.write(UInt8(1))
        case .pinged: writer.write(UInt8(2))
        case .troubled: writer.write(UInt8(3))
        case .watchdogPeriod(let time):
            writer.write(UInt8(4))
            writer.write(time)
        case .extended(let time):
            writer.write(UInt8(5))
            writer.write(time)
        case .mainProcess(let pid):
            writer.write(UInt8(6))
            writer.write(pid)
        case .status(let text):
            writer.write(UInt8(7))
            writer.write(text)
        case .forgiven: writer.write(UInt8(8))
        }
    }

    fileprivate init(from reader: inout SnapshotReader) throws(SnapshotError) {
        switch try reader.number(UInt8.self) {
        case 0: self = .reloading
        case 1: self = .stopping
        case 2: self = .pinged
        case 3: self = .troubled
        case 4: self = .watchdogPeriod(try reader.number())
        case 5: self = .extended(try reader.number())
        case 6: self = .mainProcess(try reader.process())
        case 7: self = .status(try reader.text())
        case 8: self = .forgiven
        default: throw .damaged
        }
    }
}

extension CompanionOutcome {
    fileprivate func write(to writer: inout SnapshotWriter) {
        switch self {
        case .started(let pid):
            writer.write(UInt8(0))
            writer.write(pid)
        case .absent: writer.write(UInt8(1))
        case .congested: writer.write(UInt8(2))
        }
    }

    fileprivate init(from reader: inout SnapshotReader) throws(SnapshotError) {
        switch try reader.number(UInt8.self) {
        case 0: self = .started(pid: try reader.process())
        case 1: self = .absent
        case 2: self = .congested
        default: throw .damaged
        }
    }
}

extension Place {
    package func write(to writer: inout SnapshotWriter) {
        switch self {
        case .path(let path):
            writer.write(UInt8(0))
            writer.write(path)
        case .entry(let name, let identity):
            writer.write(UInt8(1))
            writer.write(name)
            identity.write(to: &writer)
        case .logger(let name, let identity):
            writer.write(UInt8(2))
            writer.write(name)
            identity.write(to: &writer)
        }
    }

    package init(from reader: inout SnapshotReader) throws(SnapshotError) {
        switch try reader.number(UInt8.self) {
        case 0: self = .path(try reader.text())
        case 1: self = .entry(name: try reader.text(), try FileID(from: &reader))
        case 2: self = .logger(name: try reader.text(), try FileID(from: &reader))
        default: throw .damaged
        }
    }
}

extension SnapshotWriter {
    fileprivate mutating func write(_ kind: UInt8, _ id: ServiceID) {
        write(kind)
        write(UInt32(truncatingIfNeeded: id.index))
    }

    fileprivate mutating func write(_ kind: UInt8, _ id: ServiceID, _ value: UInt8) {
        write(kind, id)
        write(value)
    }

    fileprivate mutating func write(_ kind: UInt8, _ pair: PairID) {
        write(kind)
        write(UInt32(truncatingIfNeeded: pair.index))
    }
}

extension SnapshotReader {
    /// Far more than there can be.
    private static let mostPlaces = 1 << 24

    private mutating func index() throws(SnapshotError) -> Int {
        let index = Int(try number(UInt32.self))
        guard index < SnapshotReader.mostPlaces else { throw .damaged }
        return index
    }

    package mutating func service() throws(SnapshotError) -> ServiceID {
        ServiceID(try index())
    }

    package mutating func pair() throws(SnapshotError) -> PairID { PairID(try index()) }

    fileprivate mutating func signal() throws(SnapshotError) -> ServiceSignal {
        let number: Int32 = try number()
        guard (1...64).contains(number) else { throw .damaged }
        return ServiceSignal(rawValue: number)
    }

    fileprivate mutating func definition() throws(SnapshotError) -> ServiceDefinition? {
        try optional { (reader) throws(SnapshotError) in try ServiceDefinition(from: &reader) }
    }
}
