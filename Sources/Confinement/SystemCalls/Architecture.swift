import Bytes
import CSeccomp
import Commands
import Linux

/// An interface for system calls. A machine may offer those of several architectures, each with numbers of
/// its own.
struct Architecture: Equatable, Sendable {
    /// libseccomp's number for it, which is the kernel's but for x32.
    let token: UInt32

    /// The one this was built for.
    static var native: Architecture { Architecture(token: seccomp_arch_native()) }

    /// Set in the numbers of x32 calls, which the kernel reports under the architecture of x86-64.
    static let x32Bit: UInt32 = 0x4000_0000

    /// The architecture called `name` by libseccomp, in lower case; nil for a name that is unknown.
    init?(libseccompName name: ByteString) {
        token = name.withCString { seccomp_arch_resolve_name($0) }
        if token == 0 { return nil }
    }

    /// The architecture with this AUDIT_ARCH_* number.
    init(auditNumber: UInt32) { token = auditNumber }

    private init(token: UInt32) { self.token = token }

    /// The name of the call with this number; nil where none is known.
    func callName(_ number: UInt32) -> ByteString? {
        guard let name = seccomp_syscall_resolve_num_arch(token, Int32(bitPattern: number)) else {
            return UnifiedSystemCalls.name(of: number & ~bits)
        }
        defer { free(name) }
        return ByteString(cString: name)
    }

    var isX32: Bool { token == Architecture(libseccompName: "x32")?.token }

    /// The AUDIT_ARCH_* number that a filter sees.
    var auditNumber: UInt32 {
        isX32 ? Architecture(libseccompName: "x86_64")?.token ?? token : token
    }

    /// Every name that libseccomp has for an architecture.
    private static let names: StaticString = """
        x86_64 aarch64 riscv64 x86 arm x32 ppc64le ppc64 ppc s390x s390 mips mips64 mips64n32 \
        mipsel mipsel64 mipsel64n32 parisc parisc64
        """

    /// Its name in libseccomp.
    var name: ByteString {
        WordList(Architecture.names).words.first { Architecture(libseccompName: $0) == self }
            ?? "unknown"
    }

    /// Its name in minijail's policies.
    var minijailName: ByteString {
        let name = name
        return name == "aarch64" ? "arm64" : name
    }

    /// Its name in Go and in Docker's profiles.
    var goName: ByteString {
        let name = minijailName
        return name == "x86_64" ? "amd64" : name
    }

    /// The number of a call; nil when it has none here.
    func number(of name: ByteString) -> UInt32? {
        let number = name.withCString { seccomp_syscall_resolve_name_arch(token, $0) }
        if number >= 0 { return UInt32(number) }
        if number != __NR_SCMP_ERROR { return nil }
        return UnifiedSystemCalls.number(of: name).map { UInt32($0) | bits }
    }

    /// The highest number of a call whose name is known.
    var highest: UInt32 { UInt32(SystemCalls.highest) | bits }

    private var bits: UInt32 { isX32 ? Architecture.x32Bit : 0 }
}
