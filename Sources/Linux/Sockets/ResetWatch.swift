import CLinux

// The socket that is watched; a signal handler knows nothing else.
nonisolated(unsafe) private var watched: (socket: Int32, exitCode: Int32) = (-1, 0)
nonisolated(unsafe) private var previousHandler: (@convention(c) (Int32) -> Void)?

/// Ends this process with `exitCode` as soon as the other end of `socket` has reset the connection, even
/// in the middle of a call of libc that waits for something else. An end that has only stopped sending may
/// still want an answer. SIGIO is taken for that, and stays so until `stopExitingOnReset`. fcntl(2) O_ASYNC.
public func exitOnReset(of socket: Int32, exitCode: Int32) throws(SystemError) {
    watched = (socket, exitCode)
    previousHandler = signal(SIGIO) { _ in exitIfReset() }
    _ = try Kernel.call("fcntl") { cl_fcntl(socket, F_SETOWN, getpid()) }
    try setAsynchronous(socket, true)
    // It may have happened before.
    exitIfReset()
}

/// The connection may be reset from now on, and SIGIO has its old meaning.
public func stopExitingOnReset(of socket: Int32) throws(SystemError) {
    if watched.socket != socket { return }
    watched.socket = -1
    try setAsynchronous(socket, false)
    _ = signal(SIGIO, previousHandler)
}

private func setAsynchronous(_ socket: Int32, _ on: Bool) throws(SystemError) {
    let flags = try Kernel.call("fcntl") { cl_fcntl(socket, F_GETFL, 0) }
    _ = try Kernel.call("fcntl") {
        cl_fcntl(socket, F_SETFL, on ? flags | O_ASYNC : flags & ~O_ASYNC)
    }
}

/// Runs as a signal handler too: it makes system calls only, and leaves errno as it was.
private func exitIfReset() {
    let errno = cl_errno()
    var request = pollfd(fd: watched.socket, events: 0, revents: 0)
    if poll(&request, 1, 0) > 0, Int32(request.revents) & (POLLERR | POLLHUP) != 0 {
        _exit(watched.exitCode)
    }
    cl_set_errno(errno)
}
