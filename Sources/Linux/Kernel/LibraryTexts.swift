import Bytes
import CLinux

extension Errno {
    /// The text of strerror(3) as glibc has it, for programs whose originals print that; of the errors that executing a
    /// program, starting a process, sending a signal and setting up a terminal may meet.
    public var libraryText: ByteString {
        for index in Errno.libraryTexts.indices where Errno.libraryTexts[index].code == code {
            return ByteString(Errno.libraryTexts[index].text)
        }
        return "Unknown error \(code)"
    }

    private static let libraryTexts: InlineArray<_, (code: Int32, text: StaticString)> = [
        (EPERM, "Operation not permitted"), (ENOENT, "No such file or directory"),
        (ESRCH, "No such process"), (EIO, "Input/output error"),
        (ENXIO, "No such device or address"), (E2BIG, "Argument list too long"),
        (ENOEXEC, "Exec format error"), (EBADF, "Bad file descriptor"),
        (EAGAIN, "Resource temporarily unavailable"), (ENOMEM, "Cannot allocate memory"),
        (EACCES, "Permission denied"), (EFAULT, "Bad address"), (ENODEV, "No such device"),
        (ENOTDIR, "Not a directory"), (EISDIR, "Is a directory"), (EINVAL, "Invalid argument"),
        (ENFILE, "Too many open files in system"), (EMFILE, "Too many open files"),
        (ENOTTY, "Inappropriate ioctl for device"), (ETXTBSY, "Text file busy"),
        (ENOSYS, "Function not implemented"), (ENAMETOOLONG, "File name too long"),
        (ELOOP, "Too many levels of symbolic links"), (ETIMEDOUT, "Connection timed out"),
        (ESTALE, "Stale file handle"), (ELIBBAD, "Accessing a corrupted shared library"),
    ]
}

extension Signal {
    /// The text of strsignal(3) as glibc has it, for programs whose originals print that.
    public var libraryText: ByteString {
        let texts = Signal.libraryTexts
        if (1...31).contains(number) { return ByteString(texts[Int(number) - 1]) }
        return (34...64).contains(number)
            ? "Real-time signal \(number - 34)" : "Unknown signal \(number)"
    }

    private static let libraryTexts: InlineArray<_, StaticString> = [
        "Hangup", "Interrupt", "Quit", "Illegal instruction", "Trace/breakpoint trap", "Aborted",
        "Bus error", "Floating point exception", "Killed", "User defined signal 1",
        "Segmentation fault", "User defined signal 2", "Broken pipe", "Alarm clock", "Terminated",
        "Stack fault", "Child exited", "Continued", "Stopped (signal)", "Stopped",
        "Stopped (tty input)", "Stopped (tty output)", "Urgent I/O condition",
        "CPU time limit exceeded", "File size limit exceeded", "Virtual timer expired",
        "Profiling timer expired", "Window changed", "I/O possible", "Power failure",
        "Bad system call",
    ]
}
