import Bytes
import CLinux

/// Whether `descriptor` is a terminal whose foreground process group is this process's, so that a
/// child may be given the foreground. tcgetpgrp(3).
public func isForeground(_ descriptor: Int32) -> Bool { tcgetpgrp(descriptor) == getpgrp() }

/// Makes this process's group the foreground one of its terminal. It has SIGTTOU blocked or ignored, or is in the
/// foreground. tcsetpgrp(3).
public func takeForeground(_ descriptor: Int32) throws(SystemError) {
    _ = try Kernel.call("tcsetpgrp") { tcsetpgrp(descriptor, getpgrp()) }
}

/// Makes the terminal the controlling one of this session; with `force`, for which it takes privilege, whoever had it.
/// ioctl(2) TIOCSCTTY.
public func takeTerminal(_ descriptor: Int32, force: Bool = true) throws(SystemError) {
    _ = try Kernel.call("ioctl") {
        cl_syscall(Int(SYS_ioctl), Int(descriptor), Int(TIOCSCTTY), force ? 1 : 0, 0)
    }
}

/// Gives up the controlling terminal; the leader of a session does so for all of it, whose foreground gets HUP and CONT.
/// ioctl(2) TIOCNOTTY.
public func leaveTerminal(_ descriptor: Int32) throws(SystemError) {
    _ = try Kernel.call("ioctl") {
        cl_syscall(Int(SYS_ioctl), Int(descriptor), Int(TIOCNOTTY), 0, 0)
    }
}

/// Has `signal` sent to this process whenever something can be read from `descriptor`, which does not wait then. For
/// FIFOs and input devices. fcntl(2) F_SETSIG, O_ASYNC.
public func announceInput(_ descriptor: Int32, by signal: Signal) throws(SystemError) {
    _ = try Kernel.call("fcntl") { cl_fcntl(descriptor, F_SETOWN, getpid()) }
    _ = try Kernel.call("fcntl") { cl_fcntl(descriptor, F_SETSIG, signal.number) }
    let flags = try Kernel.call("fcntl") { cl_fcntl(descriptor, F_GETFL, 0) }
    _ = try Kernel.call("fcntl") { cl_fcntl(descriptor, F_SETFL, flags | O_ASYNC | O_NONBLOCK) }
}

/// What an input device, opened from /dev/input, calls itself. ioctl(2) EVIOCGNAME.
public func inputDeviceName(_ descriptor: Int32) throws(SystemError) -> ByteString {
    var name = [UInt8](repeating: 0, count: 256)
    // _IOC(_IOC_READ, 'E', 0x06, 256)
    _ = try Kernel.call("ioctl") {
        name.withUnsafeMutableBytes {
            cl_syscall(
                Int(SYS_ioctl), Int(descriptor), 0x8100_4506, Int(bitPattern: $0.baseAddress), 0)
        }
    }
    return ByteString(name)
}

/// Closes every descriptor from `first` up, whoever owns them: only for a process about to end or to become another
/// program. close_range(2).
public func closeDescriptors(from first: UInt32) throws(SystemError) {
    _ = try Kernel.call("close_range") { cl_close_from(first) }
}

/// Whether a descriptor is a terminal. isatty(3).
public func isTerminal(_ descriptor: Int32) -> Bool { isatty(descriptor) == 1 }
