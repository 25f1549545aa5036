import Bytes

/// Where to look first. It decides nothing, so that it makes no difference between two conductors.
struct SearchHint: Equatable {
    /// A place in a table.
    var place = 0

    static func == (_: SearchHint, _: SearchHint) -> Bool { true }
}

/// What is known of the scan directory as a whole.
struct ScanState: Equatable {
    /// How often to look where the kernel cannot tell of changes: the family's five seconds.
    static let interval: UInt64 = .seconds(5)
    /// The least time between two looks that changes ask for, and its share of the time that a look takes: a
    /// directory that changes all the time costs a twentieth of a processor at most.
    static let pause: UInt64 = .milliseconds(20)
    static let costFactor: UInt64 = 20

    /// Which directory it was when last listed; nil before it was ever seen.
    var directory: FileID?
    /// When to list it, if nothing happens; nil when the kernel will tell.
    var due: UInt64?
    /// Before when no change is a reason to list it.
    var rest: UInt64 = 0
    /// Whether the next listing is a reason to look for a `log` that was added.
    var looksForLogs = false
    /// What is wrong with names that are no services, and with the directory; each is said once while it lasts.
    var complaints: [ByteString: Complaint] = [:]
}
