import Bytes
import CSeccomp
import Commands
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
        let names = unified.words
        let place = Int(number) - firstUnified
        return names.indices.contains(place) ? names[place] : nil
    }

    /// The number of a call that all architectures have under one.
    static func unifiedNumber(of name: ByteString) -> Int32? {
        unified.index(of: name).map { Int32(firstUnified + $0) }
    }

    /// The highest number of a call whose name is known. A kernel's calls beyond are ones that no
    /// policy can have meant.
    static var highest: Int32 { Int32(firstUnified + unified.words.count - 1) }

    private static let firstUnified = 449

    /// Calls that libseccomp may not know yet, in the order of their numbers, which are the same on
    /// every architecture, as all are since Linux 5.1.
    private static let unified = WordList(
        """
        futex_waitv set_mempolicy_home_node cachestat fchmodat2 map_shadow_stack futex_wake \
        futex_wait futex_requeue statmount listmount lsm_get_self_attr lsm_set_self_attr \
        lsm_list_modules mseal setxattrat getxattrat listxattrat removexattrat open_tree_attr \
        file_getattr file_setattr
        """)
}
