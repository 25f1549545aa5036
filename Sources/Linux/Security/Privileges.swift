import Bytes
import CLinux

/// One instruction of a classic BPF program, linux/filter.h.
public struct FilterInstruction: Equatable, Sendable {
    /// What it does, BPF_* of linux/bpf_common.h.
    public enum Operation: UInt16, Sendable {
        /// Goes on so many instructions further. BPF_JMP | BPF_JA.
        case jump = 0x05
        /// Ends with the answer that is its constant. BPF_RET | BPF_K.
        case answer = 0x06
        /// Jumps when what was loaded is its constant. BPF_JMP | BPF_JEQ | BPF_K.
        case jumpIfEqual = 0x15
        /// Loads 32 bits of struct seccomp_data. BPF_LD | BPF_W | BPF_ABS.
        case load = 0x20
        /// Jumps when what was loaded is greater. BPF_JMP | BPF_JGT | BPF_K.
        case jumpIfGreater = 0x25
        /// Jumps when what was loaded is greater or equal. BPF_JMP | BPF_JGE | BPF_K.
        case jumpIfGreaterOrEqual = 0x35
        /// Jumps when what was loaded has a bit of its constant. BPF_JMP | BPF_JSET | BPF_K.
        case jumpIfAnyBit = 0x45
        /// Keeps of what was loaded the bits of its constant. BPF_ALU | BPF_AND | BPF_K.
        case and = 0x54
    }

    /// What it does, as the kernel has it.
    public var code: UInt16
    /// What it does; nil for what no compiler of filters makes.
    public var operation: Operation? { Operation(rawValue: code) }
    /// How many instructions to skip when its condition holds.
    public var skipIfTrue: UInt8
    /// How many instructions to skip when it does not.
    public var skipIfFalse: UInt8
    /// Its constant.
    public var value: UInt32

    /// An instruction; the two skips matter to conditional jumps only.
    public init(
        _ operation: Operation, _ value: UInt32, ifTrue: UInt8 = 0, ifFalse: UInt8 = 0
    ) {
        self.init(code: operation.rawValue, value, ifTrue: ifTrue, ifFalse: ifFalse)
    }

    /// An instruction with the kernel's code.
    public init(code: UInt16, _ value: UInt32, ifTrue: UInt8 = 0, ifFalse: UInt8 = 0) {
        self.code = code
        self.value = value
        skipIfTrue = ifTrue
        skipIfFalse = ifFalse
    }
}

/// Flags of seccomp(2), SECCOMP_FILTER_FLAG_*.
public struct FilterFlags: OptionSet, Sendable {
    /// The kernel's bits.
    public let rawValue: UInt32

    /// Flags of the kernel's bits.
    public init(rawValue: UInt32) { self.rawValue = rawValue }

    /// Whatever is not plainly allowed goes to the kernel's log.
    public static let log = FilterFlags(rawValue: 2)
    /// The processor may speculate past stores, which the kernel else forbids programs with a filter.
    public static let allowSpeculation = FilterFlags(rawValue: 4)
    /// A descriptor is returned on which calls are announced.
    public static let newListener = FilterFlags(rawValue: 8)
}

extension CurrentProcess {
    /// Sees to it that no exec gives this process or its descendants privileges: set-user-ID bits
    /// and file capabilities lose their effect. prctl(2) PR_SET_NO_NEW_PRIVS.
    public static func setNoNewPrivileges() throws(SystemError) {
        _ = try Kernel.call("no_new_privs") { cl_prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) }
    }

    /// Keeps the permitted capabilities when it stops being root, until the next exec. prctl(2)
    /// PR_SET_KEEPCAPS.
    public static func keepCapabilities() throws(SystemError) {
        _ = try Kernel.call("keepcaps") { cl_prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) }
    }

    /// Puts a seccomp filter on this process and its descendants, for good. The kernel wants
    /// no_new_privs or CAP_SYS_ADMIN. `next` gets what the call returns, the listener if `flags` ask for
    /// one; before that, not even memory is taken or given back, since calls may wait for an answer by
    /// then. seccomp(2) SECCOMP_SET_MODE_FILTER.
    public static func install(
        filter: [FilterInstruction], flags: FilterFlags = [],
        _ next: (Int32) throws(SystemError) -> Void = { (_) throws(SystemError) in }
    ) throws(SystemError) {
        try filter.withUnsafeBufferPointer { (instructions) throws(SystemError) in
            let count = UInt16(exactly: instructions.count)
            guard let count, let base = instructions.baseAddress else {
                throw SystemError("seccomp", .invalid)
            }
            var program = sock_fprog()
            program.len = count
            program.filter = UnsafeMutablePointer(
                mutating: UnsafeRawPointer(base).assumingMemoryBound(to: sock_filter.self))
            try withUnsafePointer(to: &program) { (program) throws(SystemError) in
                let result = try Kernel.call("seccomp") {
                    cl_syscall(
                        Int(SYS_seccomp), Int(SECCOMP_SET_MODE_FILTER), Int(flags.rawValue),
                        Int(bitPattern: program), 0)
                }
                try next(Int32(truncatingIfNeeded: result))
            }
        }
    }

    /// Sets the name that ps(1) and /proc/PID/comm show, at most 15 bytes of it. prctl(2)
    /// PR_SET_NAME.
    public static func setName(_ name: ByteString) throws(SystemError) {
        _ = try Kernel.call("prctl") {
            name.withCString { cl_prctl(PR_SET_NAME, UInt(bitPattern: $0), 0, 0, 0) }
        }
    }
}
