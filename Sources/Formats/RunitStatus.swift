import Bytes

/// What runit's programs read in `supervise/status`: the 18 bytes of daemontools, and two of runit's own.
///
///     18       1 when the process was told to end by TERM, else 0
///     19       0 down, 1 `run`, 2 `finish`
///
/// runsv ends there. Apus goes on, and daemontools' supervise has only the 18 bytes.
public struct RunitStatus: Equatable, Sendable {
    /// What the process is.
    public enum State: UInt8, CaseIterable, Sendable {
        /// There is none.
        case down
        /// `run`.
        case run
        /// `finish`.
        case finish
    }

    /// The first 18 bytes.
    public let record: StatusRecord
    /// Whether the process was told to end by TERM.
    public let wasTerminated: Bool
    /// What the process is; nil for a byte that means nothing.
    public let state: State?
    /// Whether runsv wrote it.
    public let isOfRunsv: Bool

    /// The length of what runsv writes.
    public static let byteCount = StatusRecord.byteCount + 2

    /// Reads a status file; nil when it is too short. What only runit knows is guessed where daemontools' supervise
    /// wrote it.
    public init?(_ bytes: some RandomAccessCollection<UInt8>) {
        guard let record = StatusRecord(bytes) else { return nil }
        self.record = record
        isOfRunsv = bytes.count == RunitStatus.byteCount
        let rest = Array(bytes.dropFirst(StatusRecord.byteCount))
        if rest.count < 2 {
            wasTerminated = false
            state = record.pid == 0 ? .down : .run
        } else {
            wasTerminated = rest[0] != 0
            state = State(rawValue: rest[1])
        }
    }

    /// Whether there is a process.
    public var hasProcess: Bool { record.pid != 0 }

    /// What runsv writes into `supervise/stat`, without the newline.
    public var words: ByteString {
        var words: ByteString = state == .finish ? "finish" : hasProcess ? "run" : "down"
        if record.isPaused { words.append(", paused" as ByteString) }
        if wasTerminated { words.append(", got TERM" as ByteString) }
        if hasProcess && record.want != StatusRecord.wantsUp {
            words.append(", want down" as ByteString)
        }
        return words
    }

    /// What sv prints of it, from the state's word to the last remark; `name` is whose it is, and `now` the time.
    public func line(_ name: ByteString, isNormallyUp: Bool, at now: TAI64N) -> ByteString {
        var line = ByteString()
        switch state {
        case .down: line.append("down: \(name): " as ByteString)
        case .run: line.append("run: \(name): (pid \(record.pid)) " as ByteString)
        case .finish: line.append("finish: \(name): (pid \(record.pid)) " as ByteString)
        case nil: line.append("\(name): (pid \(record.pid)) " as ByteString)
        }
        let age = now.seconds > record.since.seconds ? now.seconds - record.since.seconds : 0
        line.append("\(age)s" as ByteString)
        if hasProcess {
            if !isNormallyUp { line.append(", normally down".utf8) }
            if record.isPaused { line.append(", paused".utf8) }
            if record.want == StatusRecord.wantsDown { line.append(", want down".utf8) }
            if wasTerminated { line.append(", got TERM".utf8) }
        } else {
            if isNormallyUp { line.append(", normally up".utf8) }
            if record.want == StatusRecord.wantsUp { line.append(", want up".utf8) }
        }
        return line
    }
}
