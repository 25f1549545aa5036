import Bytes
import CLinux

/// An error number of the kernel, errno(3).
public struct Errno: Equatable, Sendable {
    /// The number, as in errno(3).
    public let code: Int32

    /// Wraps a number.
    public init(_ code: Int32) { self.code = code }

    /// What the last call of this thread left in errno. Read it at once after the call.
    static var last: Errno { Errno(cl_errno()) }

    // The ones that programs decide on, under their names in errno(3).
    /// EINTR: interrupted by a signal.
    public static let interrupted = Errno(EINTR)
    /// ENOENT: no such file or directory.
    public static let noEntry = Errno(ENOENT)
    /// EEXIST: already there.
    public static let exists = Errno(EEXIST)
    /// EAGAIN: would block, or temporarily out of something.
    public static let again = Errno(EAGAIN)
    /// ENXIO: a FIFO without a reader.
    public static let noReader = Errno(ENXIO)
    /// EPIPE: a pipe or socket without a reader.
    public static let brokenPipe = Errno(EPIPE)
    /// ECHILD: no children.
    public static let noChild = Errno(ECHILD)
    /// ESRCH: no such process.
    public static let noProcess = Errno(ESRCH)
    /// ENOTDIR: a path component is not a directory.
    public static let notDirectory = Errno(ENOTDIR)
    /// EISDIR: is a directory.
    public static let isDirectory = Errno(EISDIR)
    /// EINVAL: invalid argument.
    public static let invalid = Errno(EINVAL)
    /// ENODEV: no device, or no file system, of that kind.
    public static let noDevice = Errno(ENODEV)
    /// EBUSY: in use.
    public static let busy = Errno(EBUSY)
    /// EPERM: not permitted.
    public static let notPermitted = Errno(EPERM)
    /// EACCES: permission denied.
    public static let accessDenied = Errno(EACCES)
    /// ENOSPC: no room on the device.
    public static let noSpace = Errno(ENOSPC)
    /// ENOMEM: no memory.
    public static let noMemory = Errno(ENOMEM)
    /// ENOSYS: no such system call.
    public static let noSystemCall = Errno(ENOSYS)
    /// EOPNOTSUPP: not possible there.
    public static let notSupported = Errno(EOPNOTSUPP)
    /// EMFILE: this process has no descriptor left.
    public static let tooManyDescriptors = Errno(EMFILE)
    /// ENFILE: the system has no descriptor left.
    public static let tooManyFiles = Errno(ENFILE)
    /// EROFS: a read-only file system.
    public static let readOnly = Errno(EROFS)
    /// ENOTTY: not a terminal.
    public static let notTerminal = Errno(ENOTTY)
    /// EPROTO: a file or peer does not keep to its format.
    public static let protocolError = Errno(EPROTO)
    /// ELOOP: too many symbolic links.
    public static let linkLoop = Errno(ELOOP)

    /// EINPROGRESS: a non-blocking connection is on its way.
    public static let inProgress = Errno(EINPROGRESS)
    /// ETIMEDOUT: no answer came.
    public static let timedOut = Errno(ETIMEDOUT)
    /// ENOBUFS: no room for network buffers.
    public static let noBuffers = Errno(ENOBUFS)
    /// ECONNABORTED: a connection ended before it was accepted.
    public static let connectionAborted = Errno(ECONNABORTED)
    /// EADDRINUSE: somebody has the address.
    public static let addressInUse = Errno(EADDRINUSE)
    /// ECONNREFUSED: nobody listens there.
    public static let connectionRefused = Errno(ECONNREFUSED)
    /// EBADF: not an open descriptor.
    public static let badDescriptor = Errno(EBADF)
    /// ENOTSOCK: not a socket.
    public static let notSocket = Errno(ENOTSOCK)
    /// EFBIG: longer than a file may be.
    public static let fileTooBig = Errno(EFBIG)
    /// E2BIG: longer than it may be.
    public static let tooLong = Errno(E2BIG)

    // Causes that are found here and not by the kernel, whose numbers end at 4095.
    /// A symbolic link that a user made whom this process does not follow.
    public static let foreignLink = Errno(4096)
    /// Something else where a FIFO is to be.
    public static let notFIFO = Errno(4097)
    /// Something else where a regular file is to be.
    public static let notRegular = Errno(4098)
    /// A symbolic link where none is followed.
    public static let symbolicLink = Errno(4099)
    /// A file that is believed only if nobody but root and this process's user could have written it.
    public static let foreignFile = Errno(4100)

    /// Whether it tells of too little of something, which may pass.
    public var isShortage: Bool {
        [.noMemory, .tooManyDescriptors, .tooManyFiles, .noSpace, .noBuffers, .again].contains(self)
    }

    /// The text for people: daemontools' and ucspi-tcp's own table (error_str.c), which users know
    /// from their logs and which differs from strerror(3).
    public var text: StaticString {
        for index in Errno.texts.indices where Errno.texts[index].code == code {
            return Errno.texts[index].text
        }
        return "unknown error"
    }

    private static let texts: InlineArray<_, (code: Int32, text: StaticString)> = [
        (0, "no error"), (EINTR, "interrupted system call"), (ENOMEM, "out of memory"),
        (4096, "link made by another user"), (4097, "not a FIFO"),
        (4098, "not a regular file"), (4099, "is a symbolic link"),
        (4100, "another user could have written it"), (ENOENT, "file does not exist"),
        (ETXTBSY, "text busy"), (EIO, "input/output error"),
        (EEXIST, "file already exists"), (ETIMEDOUT, "timed out"),
        (EINPROGRESS, "operation in progress"), (EAGAIN, "temporary failure"),
        (EPIPE, "broken pipe"), (EPERM, "permission denied"), (EACCES, "access denied"),
        (ENXIO, "device not configured"), (EPROTO, "protocol error"), (EISDIR, "is a directory"),
        (ECONNREFUSED, "connection refused"), (ENOTDIR, "not a directory"),
        (ESRCH, "no such process"), (E2BIG, "argument list too long"),
        (ENOEXEC, "exec format error"), (EBADF, "file descriptor not open"),
        (ECHILD, "no child processes"), (EDEADLK, "operation would cause deadlock"),
        (EFAULT, "bad address"), (EBUSY, "device busy"), (EXDEV, "cross-device link"),
        (ENODEV, "device does not support operation"), (EINVAL, "invalid argument"),
        (ENFILE, "system cannot open more files"), (EMFILE, "process cannot open more files"),
        (ENOTTY, "not a tty"), (EFBIG, "file too big"), (ENOSPC, "out of disk space"),
        (ESPIPE, "unseekable descriptor"), (EROFS, "read-only file system"),
        (EMLINK, "too many links"), (EDOM, "input out of range"), (ERANGE, "output out of range"),
        (EALREADY, "operation already in progress"), (ENOTSOCK, "not a socket"),
        (EDESTADDRREQ, "destination address required"), (EMSGSIZE, "message too long"),
        (EPROTOTYPE, "incorrect protocol type"), (ENOPROTOOPT, "protocol not available"),
        (EPROTONOSUPPORT, "protocol not supported"),
        (ESOCKTNOSUPPORT, "socket type not supported"), (EOPNOTSUPP, "operation not supported"),
        (EPFNOSUPPORT, "protocol family not supported"),
        (EAFNOSUPPORT, "address family not supported"), (EADDRINUSE, "address already used"),
        (EADDRNOTAVAIL, "address not available"), (ENETDOWN, "network down"),
        (ENETUNREACH, "network unreachable"), (ENETRESET, "network reset"),
        (ECONNABORTED, "connection aborted"), (ECONNRESET, "connection reset"),
        (ENOBUFS, "out of buffer space"), (EISCONN, "already connected"),
        (ENOTCONN, "not connected"), (ESHUTDOWN, "socket shut down"),
        (ETOOMANYREFS, "too many references"), (ELOOP, "symbolic link loop"),
        (ENAMETOOLONG, "file name too long"), (EHOSTDOWN, "host down"),
        (EHOSTUNREACH, "host unreachable"), (ENOTEMPTY, "directory not empty"),
        (EUSERS, "too many users"), (EDQUOT, "disk quota exceeded"),
        (ESTALE, "stale NFS file handle"), (ENOLCK, "no locks available"),
        (ENOSYS, "system call not available"),
    ]
}
