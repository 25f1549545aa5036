import Bytes
import CLinux

/// A resource whose use the kernel limits for each process, getrlimit(2).
public enum Resource: Int32, Sendable, CaseIterable {
    // In the order of the kernel, which is that of /proc/PID/limits too.
    /// Seconds of processor time.
    case processorTime
    /// Bytes of a file that it writes.
    case fileSize
    /// Bytes of data: heap, and private writable mappings.
    case data
    /// Bytes of the main thread's stack.
    case stack
    /// Bytes of a core file.
    case coreSize
    /// Resident bytes; Linux accepts the limit and has no use for it.
    case residentSize
    /// Processes of its real user.
    case processes
    /// One more than the highest descriptor.
    case openFiles
    /// Bytes locked in memory.
    case lockedMemory
    /// Bytes of address space.
    case addressSpace
    /// Locks on files; Linux accepts the limit and has no use for it.
    case fileLocks
    /// Signals waiting for processes of its real user.
    case pendingSignals
    /// Bytes in message queues of its real user.
    case messageQueues
    /// 20 less the lowest nice value it may give itself.
    case nice
    /// The highest real-time priority it may give itself.
    case realTimePriority
    /// Microseconds of processor time without a blocking call at real-time priority.
    case realTimeTime

    private static let names = WordList(
        """
        cpu fsize data stack core rss nproc nofile memlock as locks sigpending msgqueue nice \
        rtprio rttime
        """)

    /// The resource that prlimit(1) calls `name`.
    public init?(named name: ByteString) {
        guard let index = Resource.names.index(of: name) else { return nil }
        self.init(rawValue: Int32(index))
    }

    /// What prlimit(1) calls it.
    public var name: ByteString { Resource.names[Int(rawValue)] }

    /// Whether a low limit makes it fail that this process itself gets memory.
    public var isMemory: Bool {
        switch self {
        case .addressSpace, .data, .stack: true
        default: false
        }
    }

    /// This process's limits on it. getrlimit(2).
    public func limits() throws(SystemError) -> ResourceLimits {
        var limits = ResourceLimits(soft: 0, hard: 0)
        _ = try Kernel.call("getrlimit") { cl_getrlimit(rawValue, &limits.soft, &limits.hard) }
        return limits
    }

    /// Limits this process and what it starts. setrlimit(2).
    public func setLimits(_ limits: ResourceLimits) throws(SystemError) {
        _ = try Kernel.call("setrlimit") { cl_setrlimit(rawValue, limits.soft, limits.hard) }
    }
}

/// The limit that is in force and the one it may be raised to.
public struct ResourceLimits: Equatable, Sendable {
    /// In force.
    public var soft: UInt64
    /// What `soft` may be raised to; only privilege raises it.
    public var hard: UInt64

    /// No limit.
    public static let infinity = UInt64.max

    /// A pair of limits.
    public init(soft: UInt64, hard: UInt64) {
        self.soft = soft
        self.hard = hard
    }
}
