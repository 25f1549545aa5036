import Bytes
import Formats

/// One step in the life of a conductor. Since a conductor decides the same from the same events, what it was at some
/// time and the steps since are what it is; and which of its actions have been performed, and which have not.
///
/// Whoever drives it writes an event down before it hands it in, an action with what came of it after it was performed,
/// and the time at which an outcome is handed in. So, at any time, all that is not certain is whether the first action
/// that is not written down was performed or not.
public enum JournalEntry: Equatable, Sendable {
    /// All of it, as it was.
    case snapshot([UInt8])
    /// Something happened, which was read from there.
    indirect case happened(Event, Moment, Origin)
    /// The next action has been performed.
    indirect case performed(tag: UInt32, Event?)
    /// The next outcome is handed in.
    case handed(Moment)
    /// Something else that whoever drives it has to know.
    case fact([UInt8])

    /// Where an event was read from, where that is noted by the kernel before anything else is.
    public struct Origin: Equatable, Sendable {
        /// Which reading it was; 0 for none.
        public var serial: UInt32
        /// Which part of what was read.
        public var part: UInt16
        /// Whether it was a signal.
        public var isSignal: Bool

        /// An origin.
        public init(serial: UInt32, part: UInt16, isSignal: Bool) {
            self.serial = serial
            self.part = part
            self.isSignal = isSignal
        }

        /// None that would have to be noted.
        public static let none = Origin(serial: 0, part: 0, isSignal: false)
    }

    /// As it is written.
    public var bytes: [UInt8] {
        var writer = SnapshotWriter()
        switch self {
        case .snapshot(let bytes): return [0] + bytes
        case .happened(let event, let moment, let origin):
            writer.write(UInt8(1))
            moment.write(to: &writer)
            writer.write(origin.serial)
            writer.write(origin.part)
            writer.write(origin.isSignal)
            event.write(to: &writer)
        case .performed(let tag, let outcome):
            writer.write(UInt8(2))
            writer.write(tag)
            writer.write(outcome) { $1.write(to: &$0) }
        case .handed(let moment):
            writer.write(UInt8(3))
            moment.write(to: &writer)
        case .fact(let bytes): return [4] + bytes
        }
        return writer.bytes
    }

    /// Reads what was written.
    public init(_ bytes: ArraySlice<UInt8>) throws(SnapshotError) {
        let rest = bytes.dropFirst()
        var reader = SnapshotReader(rest)
        switch bytes.first {
        case 0:
            self = .snapshot(Array(rest))
            return
        case 1:
            let moment = try Moment(from: &reader)
            let origin = Origin(
                serial: try reader.number(), part: try reader.number(),
                isSignal: try reader.flag())
            self = .happened(try Event(from: &reader), moment, origin)
        case 2:
            let tag: UInt32 = try reader.number()
            self = .performed(
                tag: tag,
                try reader.optional { (reader) throws(SnapshotError) in try Event(from: &reader) })
        case 3: self = .handed(try Moment(from: &reader))
        case 4:
            self = .fact(Array(rest))
            return
        default: throw .damaged
        }
        guard reader.isAtEnd else { throw .damaged }
    }
}

extension Moment {
    fileprivate func write(to writer: inout SnapshotWriter) {
        writer.write(nanoseconds)
        writer.write(timeOfDay.seconds)
        writer.write(timeOfDay.nanoseconds)
    }

    fileprivate init(from reader: inout SnapshotReader) throws(SnapshotError) {
        self.init(
            nanoseconds: try reader.number(),
            timeOfDay: TAI64N(label: try reader.number(), nanoseconds: try reader.number()))
    }
}

extension Action {
    /// Which action it is, and of whom: enough to see that a journal is another conductor's.
    public var tag: UInt32 {
        let (kind, index): (UInt32, Int) =
            switch self {
            case .list: (0, 0)
            case .inspect(let pair, _, _): (1, pair.index)
            case .examine(let pair, _, _): (2, pair.index)
            case .makePipe(let pair): (3, pair.index)
            case .closeWriter(let pair): (4, pair.index)
            case .closeReader(let pair): (5, pair.index)
            case .open(let id, _, _): (6, id.index)
            case .close(let id): (7, id.index)
            case .start(let id, _, _, _): (8, id.index)
            case .accompany(let id, _, _, _): (9, id.index)
            case .define(let id): (10, id.index)
            case .probe(let id, _, _): (11, id.index)
            case .awaitConnection(let id): (12, id.index)
            case .closeHeld(let id): (13, id.index)
            case .signal(let pid, _, _): (14, Int(pid))
            case .killRest(let id, _, _): (15, id.index)
            case .writeStatus(let id, _): (16, id.index)
            case .signalOthers: (17, 0)
            case .expectChildren: (18, 0)
            case .say: (19, 0)
            case .end: (20, 0)
            }
        return kind << 24 | UInt32(truncatingIfNeeded: index) & 0xff_ffff
    }

    /// What it came to when it cannot be performed; nil for one that has no outcome.
    public var failure: Event? {
        let complaint = Complaint("unable to go on after a fault", errno: 14)
        switch self {
        case .list: return .notListed(complaint)
        case .inspect(let pair, _, _), .examine(let pair, _, _):
            return .notExamined(pair, complaint)
        case .makePipe(let pair): return .notPiped(pair, complaint)
        case .open(let id, _, _): return .notOpened(id, complaint)
        case .start(let id, _, _, _): return .notPrepared(id, complaint)
        case .accompany(let id, _, _, _): return .accompanied(id, .absent)
        default: return nil
        }
    }
}
