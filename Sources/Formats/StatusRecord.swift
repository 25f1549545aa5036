import Bytes

/// The content of `supervise/status`, 18 bytes as daemontools writes them: the TAI64N label of when
/// the process id last changed (12 bytes), the process id (4 bytes, little-endian), whether it is
/// paused, and what is wanted. Other members of the family append to it; that is not read. What Apus appends are
/// `details`.
public struct StatusRecord: Equatable, Sendable {
    /// Its length in bytes.
    public static let byteCount = 18
    /// `want` of a service that is to be up.
    public static let wantsUp = UInt8(ascii: "u")
    /// `want` of a service that is to be down.
    public static let wantsDown = UInt8(ascii: "d")
    /// `want` of a service that was to run once.
    public static let wantsNothing: UInt8 = 0

    /// When the process id last changed.
    public var since: TAI64N
    /// The process id; 0 when the service is down.
    public var pid: UInt32
    /// Whether it was told to stop (`svc -p`) and has a process.
    public var isPaused: Bool
    /// `wantsUp`, `wantsDown`, `wantsNothing`; other bytes mean nothing.
    public var want: UInt8
    /// What Apus tells besides; nil in what another program wrote.
    public var details: StatusDetails?

    /// The most bytes that are written.
    public static let longest = byteCount + StatusDetails.fixedCount + StatusDetails.longestText

    /// A record of the given fields.
    public init(
        since: TAI64N, pid: UInt32, isPaused: Bool, want: UInt8, details: StatusDetails? = nil
    ) {
        self.details = details
        self.since = since
        self.pid = pid
        self.isPaused = isPaused
        self.want = want
    }

    /// Reads the first 18 bytes, and the details if they follow; nil when there are fewer.
    public init?(_ bytes: some RandomAccessCollection<UInt8>) {
        guard bytes.count >= StatusRecord.byteCount,
            let since = TAI64N(binary: bytes.prefix(TAI64N.binaryCount))
        else { return nil }
        let rest = Array(bytes.dropFirst(TAI64N.binaryCount))
        self.since = since
        pid = (0..<4).reduce(0) { $0 | UInt32(rest[$1]) << UInt32(8 * $1) }
        isPaused = rest[4] != 0
        want = rest[5]
        details = StatusDetails(rest[6...])
    }

    /// The 18 bytes, and the details.
    public var bytes: [UInt8] {
        var bytes = since.binary
        for shift in [0, 8, 16, 24] as [UInt32] {
            bytes.append(UInt8(truncatingIfNeeded: pid >> shift))
        }
        bytes.append(isPaused ? 1 : 0)
        bytes.append(want)
        return bytes + (details?.bytes(hasProcess: pid != 0) ?? [])
    }
}
