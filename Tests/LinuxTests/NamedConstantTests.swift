import Bytes
import CLinux
import Testing

@testable import Linux

@Suite("Named constants")
struct NamedConstantTests {
    @Test("A name has the value that the headers give it")
    func values() {
        for (name, value) in headers {
            #expect(namedConstant(ByteString(name)) == UInt64(bitPattern: value), "\(name)")
        }
    }

    @Test("Every name of every table is found, and none that is nearly one")
    func search() {
        for table in [errorNumbers, errorAliases, commonConstants, unifiedCalls, ownConstants] {
            var last: ByteString = ""
            for entry in table.entries {
                let name = ByteString(entry.name)
                #expect(last < name, "\(name) is out of order")
                #expect(table[name] == entry.value, "\(name)")
                for wrong in ["\(name)_" as ByteString, "\(name)=", " \(name)"] {
                    #expect(table[wrong] == nil, "\(wrong)")
                }
                last = name
            }
        }
        #expect(commonConstants.entries.count > 3000)
        #expect(NameTable("")["A"] == nil)
        #expect(NameTable("A=1")["A"] == 1)
        #expect(NameTable("A=-1\nB=2")["A"] == -1)
    }

    @Test("An error's number is no other constant")
    func errorNumbersOnly() {
        #expect(errorNumber("EWOULDBLOCK") == .again)
        for name in ["EPOLLIN", "O_CREAT", "", "EFOO"] as [ByteString] {
            #expect(errorNumber(name) == nil)
        }
    }

    @Test(
        "Only names have values",
        arguments: ["", "EFOO", "EPER", "EPERM ", "1", "-100", "E", "EPERM=1", "=1", " "])
    func unknown(_ name: String) { #expect(namedConstant(ByteString(name)) == nil) }

    @Test("An error has the name that is no alias")
    func errors() {
        #expect(errorName(.notPermitted) == "EPERM")
        #expect(errorName(.again) == "EAGAIN")
        #expect(errorName(Errno(EOPNOTSUPP)) == "EOPNOTSUPP")
        #expect(errorName(Errno(EHWPOISON)) == "EHWPOISON")
        #expect(errorName(Errno(0)) == nil)
        #expect(errorName(Errno(512)) == nil)
    }
}

private let headers: [(name: String, value: Int64)] = [
    // Error numbers.
    ("EMULTIHOP", Int64(EMULTIHOP)), ("EUNATCH", Int64(EUNATCH)),
    ("EAFNOSUPPORT", Int64(EAFNOSUPPORT)), ("EREMCHG", Int64(EREMCHG)),
    ("EACCES", Int64(EACCES)), ("EL3RST", Int64(EL3RST)),
    ("EDESTADDRREQ", Int64(EDESTADDRREQ)), ("EILSEQ", Int64(EILSEQ)),
    ("ESPIPE", Int64(ESPIPE)), ("EMLINK", Int64(EMLINK)), ("EOWNERDEAD", Int64(EOWNERDEAD)),
    ("ENOTTY", Int64(ENOTTY)), ("EBADE", Int64(EBADE)), ("EBADF", Int64(EBADF)),
    ("EBADR", Int64(EBADR)), ("EADV", Int64(EADV)), ("ERANGE", Int64(ERANGE)),
    ("ECANCELED", Int64(ECANCELED)), ("ETXTBSY", Int64(ETXTBSY)), ("ENOMEM", Int64(ENOMEM)),
    ("EINPROGRESS", Int64(EINPROGRESS)), ("ENOTBLK", Int64(ENOTBLK)),
    ("EPROTOTYPE", Int64(EPROTOTYPE)), ("ERESTART", Int64(ERESTART)),
    ("EISNAM", Int64(EISNAM)), ("ENOMSG", Int64(ENOMSG)), ("EALREADY", Int64(EALREADY)),
    ("ETIMEDOUT", Int64(ETIMEDOUT)), ("ENODATA", Int64(ENODATA)), ("EINTR", Int64(EINTR)),
    ("ENOLINK", Int64(ENOLINK)), ("ECHILD", Int64(ECHILD)), ("EPERM", Int64(EPERM)),
    ("ELOOP", Int64(ELOOP)), ("ESTALE", Int64(ESTALE)), ("ENOTSOCK", Int64(ENOTSOCK)),
    ("ENOSR", Int64(ENOSR)), ("ELNRNG", Int64(ELNRNG)), ("EPIPE", Int64(EPIPE)),
    ("EBADMSG", Int64(EBADMSG)), ("EBFONT", Int64(EBFONT)), ("ERFKILL", Int64(ERFKILL)),
    ("EREMOTE", Int64(EREMOTE)), ("ETOOMANYREFS", Int64(ETOOMANYREFS)),
    ("EPFNOSUPPORT", Int64(EPFNOSUPPORT)), ("ENONET", Int64(ENONET)),
    ("EBADSLT", Int64(EBADSLT)), ("ENOTNAM", Int64(ENOTNAM)), ("ELIBEXEC", Int64(ELIBEXEC)),
    ("EKEYREJECTED", Int64(EKEYREJECTED)), ("ENOCSI", Int64(ENOCSI)),
    ("ENOTEMPTY", Int64(ENOTEMPTY)), ("EADDRINUSE", Int64(EADDRINUSE)),
    ("ENETRESET", Int64(ENETRESET)), ("EISDIR", Int64(EISDIR)), ("EIDRM", Int64(EIDRM)),
    ("ECOMM", Int64(ECOMM)), ("ECONNABORTED", Int64(ECONNABORTED)),
    ("EHOSTUNREACH", Int64(EHOSTUNREACH)), ("EBADFD", Int64(EBADFD)),
    ("EL3HLT", Int64(EL3HLT)), ("EL2HLT", Int64(EL2HLT)), ("ENOKEY", Int64(ENOKEY)),
    ("EINVAL", Int64(EINVAL)), ("ESHUTDOWN", Int64(ESHUTDOWN)), ("ELIBSCN", Int64(ELIBSCN)),
    ("ENAVAIL", Int64(ENAVAIL)), ("ENOSTR", Int64(ENOSTR)), ("EOVERFLOW", Int64(EOVERFLOW)),
    ("EUCLEAN", Int64(EUCLEAN)), ("ENOMEDIUM", Int64(ENOMEDIUM)), ("EBUSY", Int64(EBUSY)),
    ("EPROTO", Int64(EPROTO)), ("ENODEV", Int64(ENODEV)),
    ("EKEYEXPIRED", Int64(EKEYEXPIRED)), ("EROFS", Int64(EROFS)),
    ("ELIBACC", Int64(ELIBACC)), ("EHWPOISON", Int64(EHWPOISON)), ("E2BIG", Int64(E2BIG)),
    ("EDEADLK", Int64(EDEADLK)), ("ECONNRESET", Int64(ECONNRESET)), ("ENXIO", Int64(ENXIO)),
    ("EBADRQC", Int64(EBADRQC)), ("ENAMETOOLONG", Int64(ENAMETOOLONG)),
    ("ESOCKTNOSUPPORT", Int64(ESOCKTNOSUPPORT)), ("EDOTDOT", Int64(EDOTDOT)),
    ("EADDRNOTAVAIL", Int64(EADDRNOTAVAIL)), ("ETIME", Int64(ETIME)),
    ("EPROTONOSUPPORT", Int64(EPROTONOSUPPORT)), ("ENOTRECOVERABLE", Int64(ENOTRECOVERABLE)),
    ("EIO", Int64(EIO)), ("ENETUNREACH", Int64(ENETUNREACH)), ("EXDEV", Int64(EXDEV)),
    ("EDQUOT", Int64(EDQUOT)), ("EREMOTEIO", Int64(EREMOTEIO)), ("ENOSPC", Int64(ENOSPC)),
    ("ENOEXEC", Int64(ENOEXEC)), ("EMSGSIZE", Int64(EMSGSIZE)), ("EDOM", Int64(EDOM)),
    ("EFBIG", Int64(EFBIG)), ("ESRCH", Int64(ESRCH)), ("ECHRNG", Int64(ECHRNG)),
    ("EHOSTDOWN", Int64(EHOSTDOWN)), ("ENOLCK", Int64(ENOLCK)), ("ENFILE", Int64(ENFILE)),
    ("ENOSYS", Int64(ENOSYS)), ("ENOTCONN", Int64(ENOTCONN)), ("ENOTSUP", Int64(ENOTSUP)),
    ("ESRMNT", Int64(ESRMNT)), ("EDEADLOCK", Int64(EDEADLOCK)), ("ENOANO", Int64(ENOANO)),
    ("EISCONN", Int64(EISCONN)), ("EUSERS", Int64(EUSERS)), ("ENETDOWN", Int64(ENETDOWN)),
    ("ENOPROTOOPT", Int64(ENOPROTOOPT)), ("EMFILE", Int64(EMFILE)),
    ("ENOBUFS", Int64(ENOBUFS)), ("EFAULT", Int64(EFAULT)),
    ("EWOULDBLOCK", Int64(EWOULDBLOCK)), ("ELIBBAD", Int64(ELIBBAD)),
    ("ESTRPIPE", Int64(ESTRPIPE)), ("ECONNREFUSED", Int64(ECONNREFUSED)),
    ("EAGAIN", Int64(EAGAIN)), ("ELIBMAX", Int64(ELIBMAX)), ("EEXIST", Int64(EEXIST)),
    ("EL2NSYNC", Int64(EL2NSYNC)), ("ENOENT", Int64(ENOENT)), ("ENOPKG", Int64(ENOPKG)),
    ("EXFULL", Int64(EXFULL)), ("EKEYREVOKED", Int64(EKEYREVOKED)),
    ("ENOTUNIQ", Int64(ENOTUNIQ)), ("EOPNOTSUPP", Int64(EOPNOTSUPP)),
    ("ENOTDIR", Int64(ENOTDIR)), ("EMEDIUMTYPE", Int64(EMEDIUMTYPE)),
    // open(2).
    ("O_RDONLY", Int64(O_RDONLY)), ("O_WRONLY", Int64(O_WRONLY)), ("O_RDWR", Int64(O_RDWR)),
    ("O_ACCMODE", 3), ("O_CREAT", Int64(O_CREAT)), ("O_EXCL", Int64(O_EXCL)),
    ("O_NOCTTY", Int64(O_NOCTTY)), ("O_TRUNC", Int64(O_TRUNC)),
    ("O_APPEND", Int64(O_APPEND)), ("O_NONBLOCK", Int64(O_NONBLOCK)),
    ("O_NDELAY", Int64(O_NDELAY)), ("O_DSYNC", Int64(O_DSYNC)), ("O_SYNC", Int64(O_SYNC)),
    ("O_ASYNC", Int64(O_ASYNC)), ("O_DIRECTORY", Int64(O_DIRECTORY)),
    ("O_NOFOLLOW", Int64(O_NOFOLLOW)), ("O_CLOEXEC", Int64(O_CLOEXEC)),
    ("O_PATH", Int64(O_PATH)), ("O_TMPFILE", Int64(O_TMPFILE)),
    ("O_NOATIME", Int64(O_NOATIME)),
    ("AT_FDCWD", Int64(AT_FDCWD)),
    // fcntl(2).
    ("F_DUPFD", Int64(F_DUPFD)), ("F_DUPFD_CLOEXEC", Int64(F_DUPFD_CLOEXEC)),
    ("F_GETFD", Int64(F_GETFD)), ("F_SETFD", Int64(F_SETFD)), ("F_GETFL", Int64(F_GETFL)),
    ("F_SETFL", Int64(F_SETFL)), ("F_GETLK", Int64(F_GETLK)), ("F_SETLK", Int64(F_SETLK)),
    ("F_SETLKW", Int64(F_SETLKW)), ("F_SETOWN", Int64(F_SETOWN)),
    ("F_GETOWN", Int64(F_GETOWN)), ("F_SETPIPE_SZ", Int64(F_SETPIPE_SZ)),
    ("F_GETPIPE_SZ", Int64(F_GETPIPE_SZ)), ("F_ADD_SEALS", Int64(F_ADD_SEALS)),
    ("F_GET_SEALS", Int64(F_GET_SEALS)),
    // mmap(2), mprotect(2), madvise(2).
    ("PROT_NONE", Int64(PROT_NONE)), ("PROT_READ", Int64(PROT_READ)),
    ("PROT_WRITE", Int64(PROT_WRITE)), ("PROT_EXEC", Int64(PROT_EXEC)),
    ("MAP_SHARED", Int64(MAP_SHARED)), ("MAP_PRIVATE", Int64(MAP_PRIVATE)),
    ("MAP_FIXED", Int64(MAP_FIXED)), ("MAP_ANONYMOUS", Int64(MAP_ANONYMOUS)),
    ("MAP_NORESERVE", Int64(MAP_NORESERVE)), ("MAP_STACK", Int64(MAP_STACK)),
    ("MAP_GROWSDOWN", Int64(MAP_GROWSDOWN)), ("MADV_NORMAL", Int64(MADV_NORMAL)),
    ("MADV_DONTNEED", Int64(MADV_DONTNEED)), ("MADV_FREE", Int64(MADV_FREE)),
    ("MADV_WILLNEED", Int64(MADV_WILLNEED)), ("MADV_DONTDUMP", Int64(MADV_DONTDUMP)),
    ("MADV_HUGEPAGE", Int64(MADV_HUGEPAGE)), ("MADV_NOHUGEPAGE", Int64(MADV_NOHUGEPAGE)),
    ("MREMAP_MAYMOVE", Int64(MREMAP_MAYMOVE)), ("MREMAP_FIXED", Int64(MREMAP_FIXED)),
    // clone(2), unshare(2), setns(2).
    ("CLONE_CHILD_CLEARTID", Int64(CLONE_CHILD_CLEARTID)),
    ("CLONE_CHILD_SETTID", Int64(CLONE_CHILD_SETTID)),
    ("CLONE_DETACHED", Int64(CLONE_DETACHED)), ("CLONE_FILES", Int64(CLONE_FILES)),
    ("CLONE_FS", Int64(CLONE_FS)), ("CLONE_IO", Int64(CLONE_IO)),
    ("CLONE_NEWCGROUP", Int64(CLONE_NEWCGROUP)), ("CLONE_NEWIPC", Int64(CLONE_NEWIPC)),
    ("CLONE_NEWNET", Int64(CLONE_NEWNET)), ("CLONE_NEWNS", Int64(CLONE_NEWNS)),
    ("CLONE_NEWPID", Int64(CLONE_NEWPID)), ("CLONE_NEWTIME", Int64(CLONE_NEWTIME)),
    ("CLONE_NEWUSER", Int64(CLONE_NEWUSER)), ("CLONE_NEWUTS", Int64(CLONE_NEWUTS)),
    ("CLONE_PARENT", Int64(CLONE_PARENT)),
    ("CLONE_PARENT_SETTID", Int64(CLONE_PARENT_SETTID)), ("CLONE_PIDFD", Int64(CLONE_PIDFD)),
    ("CLONE_PTRACE", Int64(CLONE_PTRACE)), ("CLONE_SETTLS", Int64(CLONE_SETTLS)),
    ("CLONE_SIGHAND", Int64(CLONE_SIGHAND)), ("CLONE_SYSVSEM", Int64(CLONE_SYSVSEM)),
    ("CLONE_THREAD", Int64(CLONE_THREAD)), ("CLONE_UNTRACED", Int64(CLONE_UNTRACED)),
    ("CLONE_VFORK", Int64(CLONE_VFORK)), ("CLONE_VM", Int64(CLONE_VM)),
    // signal(7).
    ("SIGHUP", Int64(SIGHUP)), ("SIGINT", Int64(SIGINT)), ("SIGQUIT", Int64(SIGQUIT)),
    ("SIGILL", Int64(SIGILL)), ("SIGTRAP", Int64(SIGTRAP)), ("SIGABRT", Int64(SIGABRT)),
    ("SIGBUS", Int64(SIGBUS)), ("SIGFPE", Int64(SIGFPE)), ("SIGKILL", Int64(SIGKILL)),
    ("SIGUSR1", Int64(SIGUSR1)), ("SIGSEGV", Int64(SIGSEGV)), ("SIGUSR2", Int64(SIGUSR2)),
    ("SIGPIPE", Int64(SIGPIPE)), ("SIGALRM", Int64(SIGALRM)), ("SIGTERM", Int64(SIGTERM)),
    ("SIGCHLD", Int64(SIGCHLD)), ("SIGCONT", Int64(SIGCONT)), ("SIGSTOP", Int64(SIGSTOP)),
    ("SIGTSTP", Int64(SIGTSTP)), ("SIGTTIN", Int64(SIGTTIN)), ("SIGTTOU", Int64(SIGTTOU)),
    ("SIGURG", Int64(SIGURG)), ("SIGXCPU", Int64(SIGXCPU)), ("SIGXFSZ", Int64(SIGXFSZ)),
    ("SIGVTALRM", Int64(SIGVTALRM)), ("SIGPROF", Int64(SIGPROF)),
    ("SIGWINCH", Int64(SIGWINCH)), ("SIGIO", Int64(SIGIO)), ("SIGPWR", Int64(SIGPWR)),
    ("SIGSYS", Int64(SIGSYS)),
    // socket(2), setsockopt(2).
    ("AF_UNSPEC", Int64(AF_UNSPEC)), ("AF_UNIX", Int64(AF_UNIX)),
    ("AF_LOCAL", Int64(AF_LOCAL)), ("AF_INET", Int64(AF_INET)),
    ("AF_INET6", Int64(AF_INET6)), ("AF_NETLINK", Int64(AF_NETLINK)),
    ("AF_PACKET", Int64(AF_PACKET)), ("AF_ALG", Int64(AF_ALG)),
    ("AF_VSOCK", Int64(AF_VSOCK)), ("AF_BLUETOOTH", Int64(AF_BLUETOOTH)),
    ("AF_CAN", Int64(AF_CAN)), ("AF_TIPC", Int64(AF_TIPC)), ("AF_KEY", Int64(AF_KEY)),
    ("AF_XDP", Int64(AF_XDP)), ("SOL_SOCKET", Int64(SOL_SOCKET)),
    // prctl(2).
    ("PR_SET_NAME", Int64(PR_SET_NAME)), ("PR_GET_NAME", Int64(PR_GET_NAME)),
    ("PR_SET_PDEATHSIG", Int64(PR_SET_PDEATHSIG)),
    ("PR_GET_PDEATHSIG", Int64(PR_GET_PDEATHSIG)),
    ("PR_SET_DUMPABLE", Int64(PR_SET_DUMPABLE)), ("PR_GET_DUMPABLE", Int64(PR_GET_DUMPABLE)),
    ("PR_SET_SECCOMP", Int64(PR_SET_SECCOMP)), ("PR_GET_SECCOMP", Int64(PR_GET_SECCOMP)),
    ("PR_SET_NO_NEW_PRIVS", Int64(PR_SET_NO_NEW_PRIVS)),
    ("PR_GET_NO_NEW_PRIVS", Int64(PR_GET_NO_NEW_PRIVS)),
    ("PR_SET_SECUREBITS", Int64(PR_SET_SECUREBITS)),
    ("PR_GET_SECUREBITS", Int64(PR_GET_SECUREBITS)),
    ("PR_SET_KEEPCAPS", Int64(PR_SET_KEEPCAPS)), ("PR_GET_KEEPCAPS", Int64(PR_GET_KEEPCAPS)),
    ("PR_CAPBSET_READ", Int64(PR_CAPBSET_READ)), ("PR_CAPBSET_DROP", Int64(PR_CAPBSET_DROP)),
    ("PR_CAP_AMBIENT", Int64(PR_CAP_AMBIENT)), ("PR_SET_MM", Int64(PR_SET_MM)),
    ("PR_SET_PTRACER", Int64(PR_SET_PTRACER)),
    ("PR_SET_CHILD_SUBREAPER", Int64(PR_SET_CHILD_SUBREAPER)),
    ("PR_SET_TIMERSLACK", Int64(PR_SET_TIMERSLACK)), ("PR_SET_VMA", Int64(0x53564d41)),
    // ioctl(2).
    ("TCGETS", Int64(TCGETS)), ("TCSETS", Int64(TCSETS)), ("TCSETSW", Int64(TCSETSW)),
    ("TCSETSF", Int64(TCSETSF)), ("TIOCGPGRP", Int64(TIOCGPGRP)),
    ("TIOCSPGRP", Int64(TIOCSPGRP)), ("TIOCGWINSZ", Int64(TIOCGWINSZ)),
    ("TIOCSWINSZ", Int64(TIOCSWINSZ)), ("TIOCSCTTY", Int64(TIOCSCTTY)),
    ("TIOCNOTTY", Int64(TIOCNOTTY)), ("TIOCSTI", Int64(TIOCSTI)),
    ("TIOCLINUX", Int64(TIOCLINUX)), ("TIOCGSID", Int64(TIOCGSID)),
    ("FIONREAD", Int64(FIONREAD)), ("FIONBIO", Int64(FIONBIO)), ("FIOCLEX", Int64(FIOCLEX)),
    ("FIONCLEX", Int64(FIONCLEX)), ("FIOASYNC", Int64(FIOASYNC)),
    // The types of socket(2) are an enumeration in one libc.
    ("SOCK_STREAM", 1), ("SOCK_DGRAM", 2), ("SOCK_RAW", 3), ("SOCK_SEQPACKET", 5),
    ("SOCK_CLOEXEC", Int64(O_CLOEXEC)), ("SOCK_NONBLOCK", Int64(O_NONBLOCK)),
    // Newer than some headers.
    ("CLONE_CLEAR_SIGHAND", 0x1_0000_0000), ("CLONE_INTO_CGROUP", 0x2_0000_0000),
]
