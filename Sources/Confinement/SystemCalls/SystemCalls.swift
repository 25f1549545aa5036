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

    /// What `name` stands for. seccomp_syscall_resolve_name(3), and the calls that are newer. minijail
    /// writes `ARM_set_tls` where libseccomp has `set_tls`.
    static func meaning(of name: ByteString) -> Meaning {
        let ofARM: ByteString = "ARM_"
        if name.hasPrefix(ofARM) {
            return meaning(of: ByteString(name.bytes.dropFirst(ofARM.count)))
        }
        let number = name.withCString { seccomp_syscall_resolve_name($0) }
        if number >= 0 { return .number(number) }
        if number != __NR_SCMP_ERROR { return .elsewhere }
        return UnifiedSystemCalls.number(of: name).map { .number($0) } ?? .unknown
    }

    /// The highest number of a call whose name is known. A kernel's calls beyond are ones that no
    /// policy can have meant.
    static var highest: Int32 { UnifiedSystemCalls.highest }

    /// The numbers of all calls whose names are known, lowest first.
    static var all: [Int32] {
        (0...highest).filter { Architecture.native.callName(UInt32($0)) != nil }
    }
}
