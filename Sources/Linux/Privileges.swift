import CLinux

/// One instruction of a classic BPF program, linux/filter.h.
public struct FilterInstruction: Equatable, Sendable {
    /// What it does.
    public var code: UInt16
    /// How many instructions to skip when its condition holds.
    public var skipIfTrue: UInt8
    /// How many instructions to skip when it does not.
    public var skipIfFalse: UInt8
    /// Its constant.
    public var value: UInt32

    /// An instruction; the two skips matter to conditional jumps only.
    public init(_ code: UInt16, _ value: UInt32, ifTrue: UInt8 = 0, ifFalse: UInt8 = 0) {
        self.code = code
        self.value = value
        skipIfTrue = ifTrue
        skipIfFalse = ifFalse
    }
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
    /// no_new_privs or CAP_SYS_ADMIN. prctl(2) PR_SET_SECCOMP.
    public static func install(filter: [FilterInstruction]) throws(SystemError) {
        _ = try filter.withUnsafeBufferPointer { (instructions) throws(SystemError) -> Int32 in
            let count = UInt16(exactly: instructions.count)
            guard let count, let base = instructions.baseAddress else {
                throw SystemError("seccomp", .invalid)
            }
            var program = sock_fprog()
            program.len = count
            program.filter = UnsafeMutablePointer(
                mutating: UnsafeRawPointer(base).assumingMemoryBound(to: sock_filter.self))
            return try withUnsafePointer(to: &program) { (program) throws(SystemError) -> Int32 in
                try Kernel.call("seccomp") {
                    cl_prctl(
                        PR_SET_SECCOMP, UInt(SECCOMP_MODE_FILTER), UInt(bitPattern: program), 0, 0)
                }
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
