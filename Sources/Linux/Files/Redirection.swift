import Bytes
import CLinux

/// Makes descriptor `target` a copy of `source`, which a started program inherits unless it is to be
/// close-on-exec. dup2(2), dup3(2).
public func redirect(_ target: Int32, to source: Int32, closeOnExec: Bool = false)
    throws(SystemError)
{
    if closeOnExec {
        _ = try Kernel.call("dup3") { dup3(source, target, O_CLOEXEC) }
        return
    }
    // dup2 leaves close-on-exec as it is when both are the same.
    _ = try Kernel.call("dup2") {
        source == target ? cl_fcntl(target, F_SETFD, 0) : dup2(source, target)
    }
}

/// As a shell opens files for the programs that it starts: a FIFO is waited for, and whatever is written is a file for
/// all whom the umask lets.
extension OpenMode {
    /// For reading.
    public static let waitingRead = OpenMode(flags: O_RDONLY)
    /// For writing from the start, emptied, created if it is not there.
    public static let waitingTruncate = OpenMode(
        flags: O_WRONLY | O_CREAT | O_TRUNC, permissions: 0o666)
    /// For writing at the end, created if it is not there.
    public static let waitingAppend = OpenMode(
        flags: O_WRONLY | O_CREAT | O_APPEND, permissions: 0o666)
    /// For both, created if it is not there.
    public static let waitingReadWrite = OpenMode(flags: O_RDWR | O_CREAT, permissions: 0o666)
    /// For writing to a file that is not there yet.
    public static let waitingCreate = OpenMode(
        flags: O_WRONLY | O_CREAT | O_EXCL, permissions: 0o666)
}

/// Closes a descriptor that no `Descriptor` owns, and that may not be open. close(2).
public func closeUnowned(_ descriptor: Int32) { _ = CLinux.close(descriptor) }

/// Opens /dev/null as `descriptor` if that is closed, so that no other file becomes it by accident.
public func ensureOpen(_ descriptor: Int32) throws(SystemError) {
    do throws(SystemError) {
        _ = try status(of: descriptor)
    } catch {
        guard error.errno == .badDescriptor else { throw error }
        let null = try openFile("/dev/null", .readWrite).release()
        if null == descriptor { return try redirect(descriptor, to: null) }
        let temporary = Descriptor(owning: null)
        try redirect(descriptor, to: temporary.number)
    }
}

/// Opens the pipe or terminal that is open as `descriptor` a second time, so that writing to it never waits and
/// nobody else's writing changes; nil for anything else, and where that is not possible. The caller owns the
/// number returned. open(2) of /proc/self/fd.
public func reopenWithoutWaiting(_ descriptor: Int32) -> Int32? {
    do throws(SystemError) {
        let status = try status(of: descriptor)
        guard status.isFIFO || status.isCharacterDevice else { return nil }
        let mode = OpenMode(flags: O_WRONLY | O_NONBLOCK | O_NOCTTY)
        return try openFile("/proc/self/fd/\(descriptor)", mode).release()
    } catch { return nil }
}

/// Reads at most `buffer.count` bytes at `offset` of a file, whose own offset stays. pread(2).
public func read(
    _ descriptor: borrowing Descriptor, at offset: Int, into buffer: UnsafeMutableRawBufferPointer
) throws(SystemError) -> Int {
    let number = descriptor.number
    return try Kernel.call("pread") {
        pread(number, buffer.baseAddress, buffer.count, off_t(offset))
    }
}
