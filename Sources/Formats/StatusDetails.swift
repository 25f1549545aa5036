import Bytes

/// What follows the 18 bytes of daemontools in `supervise/status`: runit's two bytes, so that its `sv` can read the
/// file, then Apus's own.
///
///     18       1 when the process was told to end by TERM, else 0
///     19       0 down, 1 `run`, 2 `finish`
///     20       the version of what follows, 1
///     21       the state
///     22       flags: 1 ready, 2 something has ended
///     23       why it is down or has failed
///     24–27    the wait status of the last end, little-endian
///     28–31    how often it was started, little-endian
///     32–43    TAI64N of when it became ready
///     44       the length of the text
///     45–      what the service says of itself: STATUS= of sd_notify(3), or why it failed
public struct StatusDetails: Equatable, Sendable {
    /// What it is.
    public enum State: UInt8, CaseIterable, Sendable {
        /// It has no process and is not going to get one.
        case down
        /// It is to be started once what it needs is ready.
        case blocked
        /// It is to be started after a delay.
        case waiting
        /// Its process, or the program that prepares for it, is there, but it is not ready.
        case starting
        /// It is up and ready.
        case up
        /// It was told to end.
        case stopping
        /// `finish`, or what undoes it, is running.
        case finishing
        /// A one-shot has been done, or a bundle is complete.
        case done
        /// It has failed for good.
        case failed
    }

    /// Why it is down or has failed.
    public enum Reason: UInt8, CaseIterable, Sendable {
        case none
        /// Somebody asked for it.
        case asked
        /// It ended by itself, and is not started again.
        case ended
        /// It was not ready in time.
        case notReady
        /// It was started too often.
        case tooManyRestarts
        /// Its `finish`, `start` or `run` said so by its exit code.
        case permanent
        /// It could not be executed.
        case notExecutable
        /// It stopped pinging.
        case watchdog
        /// The kernel killed it for lack of memory.
        case outOfMemory
        /// What it needs has failed, is missing or needs it in turn.
        case dependency
        /// Nobody has connected, which is what starts it.
        case connection
    }

    /// What it is.
    public var state: State
    /// Why it is down or has failed.
    public var reason = Reason.none
    /// Whether its process was sent TERM.
    public var wasTerminated = false
    /// Whether it is ready.
    public var isReady = false
    /// The status of wait(2) that its last process ended with; nil when none has ended.
    public var lastEnd: Int32?
    /// How often it was started.
    public var starts: UInt32 = 0
    /// When it became ready, if it is.
    public var readySince: TAI64N?
    /// What it says of itself.
    public var text: ByteString = ""

    /// The most bytes of text that are kept.
    public static let longestText = 200
    static let version: UInt8 = 1
    static let fixedCount = 45 - StatusRecord.byteCount

    /// Details of a state.
    public init(_ state: State) { self.state = state }

    /// runit's state: 0 down, 1 `run`, 2 `finish`.
    private var runitState: UInt8 {
        switch state {
        case .starting, .up, .stopping: 1
        case .finishing: 2
        case .down, .blocked, .waiting, .done, .failed: 0
        }
    }

    /// What follows the first 18 bytes.
    public func bytes(hasProcess: Bool) -> [UInt8] {
        var bytes: [UInt8] = [
            wasTerminated ? 1 : 0, hasProcess || runitState == 2 ? runitState : 0,
            StatusDetails.version, state.rawValue,
            (isReady ? 1 : 0) | (lastEnd == nil ? 0 : 2), reason.rawValue,
        ]
        for number in [UInt32(bitPattern: lastEnd ?? 0), starts] {
            for shift in [0, 8, 16, 24] as [UInt32] {
                bytes.append(UInt8(truncatingIfNeeded: number >> shift))
            }
        }
        bytes += readySince?.binary ?? [UInt8](repeating: 0, count: TAI64N.binaryCount)
        let text = self.text.bytes.prefix(StatusDetails.longestText)
        bytes.append(UInt8(text.count))
        return bytes + text
    }

    /// Reads what follows the first 18 bytes; nil where another program wrote it.
    public init?(_ rest: some RandomAccessCollection<UInt8>) {
        let bytes = Array(rest)
        guard bytes.count >= StatusDetails.fixedCount, bytes[2] == StatusDetails.version,
            let state = State(rawValue: bytes[3]), let reason = Reason(rawValue: bytes[5])
        else { return nil }
        func number(_ offset: Int) -> UInt32 {
            (0..<4).reduce(0) { $0 | UInt32(bytes[offset + $1]) << UInt32(8 * $1) }
        }
        self.state = state
        self.reason = reason
        wasTerminated = bytes[0] != 0
        isReady = bytes[4] & 1 != 0
        lastEnd = bytes[4] & 2 != 0 ? Int32(bitPattern: number(6)) : nil
        starts = number(10)
        readySince = isReady ? TAI64N(binary: bytes[14..<26]) : nil
        text = ByteString(bytes[27...].prefix(min(Int(bytes[26]), StatusDetails.longestText)))
    }
}
