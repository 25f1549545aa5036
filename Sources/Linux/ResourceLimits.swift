import CLinux

/// A resource whose use the kernel limits for each process, getrlimit(2).
public enum Resource: Sendable, CaseIterable {
    /// Bytes of address space.
    case addressSpace
    /// Bytes of a core file.
    case coreSize
    /// Bytes of data: heap, and private writable mappings.
    case data
    /// Bytes of a file that it writes.
    case fileSize
    /// Bytes locked in memory.
    case lockedMemory
    /// One more than the highest descriptor.
    case openFiles
    /// Processes of its real user.
    case processes
    /// Resident bytes; Linux accepts the limit and has no use for it.
    case residentSize
    /// Bytes of the main thread's stack.
    case stack
    /// Seconds of processor time.
    case processorTime

    /// Whether a low limit makes it fail that this process itself gets memory.
    public var isMemory: Bool {
        switch self {
        case .addressSpace, .data, .stack: true
        default: false
        }
    }

    var number: Int32 {
        switch self {
        case .addressSpace: Int32(CL_RLIMIT_AS)
        case .coreSize: Int32(CL_RLIMIT_CORE)
        case .data: Int32(CL_RLIMIT_DATA)
        case .fileSize: Int32(CL_RLIMIT_FSIZE)
        case .lockedMemory: Int32(CL_RLIMIT_MEMLOCK)
        case .openFiles: Int32(CL_RLIMIT_NOFILE)
        case .processes: Int32(CL_RLIMIT_NPROC)
        case .residentSize: Int32(CL_RLIMIT_RSS)
        case .stack: Int32(CL_RLIMIT_STACK)
        case .processorTime: Int32(CL_RLIMIT_CPU)
        }
    }

    /// This process's limits on it. getrlimit(2).
    public func limits() throws(SystemError) -> ResourceLimits {
        var limits = ResourceLimits(soft: 0, hard: 0)
        _ = try Kernel.call("getrlimit") { cl_getrlimit(number, &limits.soft, &limits.hard) }
        return limits
    }

    /// Limits this process and what it starts. setrlimit(2).
    public func setLimits(_ limits: ResourceLimits) throws(SystemError) {
        _ = try Kernel.call("setrlimit") { cl_setrlimit(number, limits.soft, limits.hard) }
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
