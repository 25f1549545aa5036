import CSeccomp
import Linux

/// The system calls of the architecture this was built for, by name and number.
enum SystemCalls {
    /// What a name stands for.
    enum Meaning: Equatable {
        /// A call of this architecture.
        case number(Int32)
        /// A call that only other architectures have.
        case elsewhere
        /// No call that is known.
        case unknown
    }

    /// What `name` stands for. seccomp_syscall_resolve_name(3), and the calls that are newer.
    static func meaning(of name: ByteString) -> Meaning {
        let number = name.withCString { seccomp_syscall_resolve_name($0) }
        if number >= 0 { return .number(number) }
        if number != __NR_SCMP_ERROR { return .elsewhere }
        return unifiedNumber(of: name).map { .number($0) } ?? .unknown
    }

    /// The name of a call that all architectures have under this number.
    static func unifiedName(of number: UInt32) -> ByteString? {
        unified.first { $0.number == Int32(bitPattern: number) }.map { "\($0.name)" }
    }

    /// The number of a call that all architectures have under one.
    static func unifiedNumber(of name: ByteString) -> Int32? {
        unified.first { name.isSpelled($0.name) }?.number
    }

    /// The highest number of a call whose name is known. A kernel's calls beyond are ones that no
    /// policy can have meant.
    static var highest: Int32 { unified.last?.number ?? 0 }

    /// Calls that have one number on every architecture, as all have since Linux 5.1, and that
    /// libseccomp may not know yet.
    private static let unified: [(name: StaticString, number: Int32)] = [
        ("futex_waitv", 449), ("set_mempolicy_home_node", 450), ("cachestat", 451),
        ("fchmodat2", 452), ("map_shadow_stack", 453), ("futex_wake", 454), ("futex_wait", 455),
        ("futex_requeue", 456), ("statmount", 457), ("listmount", 458),
        ("lsm_get_self_attr", 459), ("lsm_set_self_attr", 460), ("lsm_list_modules", 461),
        ("mseal", 462), ("setxattrat", 463), ("getxattrat", 464), ("listxattrat", 465),
        ("removexattrat", 466), ("open_tree_attr", 467), ("file_getattr", 468),
        ("file_setattr", 469),
    ]
}
