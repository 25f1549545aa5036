import Bytes
import CLinux

/// One descriptor to wait for with `poll`, which unlike `EventLoop` takes ordinary files too.
public struct Awaited: Sendable {
    /// The kernel's number; nothing is waited for on a negative one.
    public let descriptor: Int32
    /// What to wait for.
    public let interest: EventLoop.Interest
    /// Whether the last `poll` found it ready, at end of file or in error.
    public internal(set) var isReady = false
    /// Whether it found nobody at the other end any more, or an error.
    public internal(set) var hasHungUp = false

    /// Waits for `interest` on `descriptor`.
    public init(_ descriptor: Int32, _ interest: EventLoop.Interest = .read) {
        self.descriptor = descriptor
        self.interest = interest
    }
}

/// Waits until one of `awaited` is ready, at most `milliseconds` if given, and says which are.
/// poll(2).
public func poll(_ awaited: inout [Awaited], milliseconds: Int32? = nil) throws(SystemError) {
    try withUnsafeTemporaryAllocation(of: pollfd.self, capacity: awaited.count) {
        (entries) throws(SystemError) in
        for (index, one) in awaited.enumerated() {
            entries.initializeElement(
                at: index,
                to: pollfd(
                    fd: one.descriptor, events: Int16(truncatingIfNeeded: one.interest.rawValue),
                    revents: 0))
        }
        _ = try Kernel.call("poll") {
            poll(entries.baseAddress, nfds_t(entries.count), milliseconds ?? -1)
        }
        for index in awaited.indices {
            let found = Int32(entries[index].revents)
            awaited[index].isReady = found != 0
            awaited[index].hasHungUp = found & (POLLHUP | POLLERR | POLLNVAL) != 0
        }
    }
}

/// Sleeps for whole seconds; blocked signals stay pending. nanosleep(2).
public func pause(seconds: Int) {
    var rest = timespec(tv_sec: seconds, tv_nsec: 0)
    withUnsafeMutablePointer(to: &rest) { rest in
        // An interrupted sleep goes on with what is left of it; no other error is possible.
        while nanosleep(rest, rest) == -1 && Errno.last == .interrupted {}
    }
}

/// Writes `bytes`, or only some of them, or none where that would take long. What others write to a socket at the same
/// time makes no difference; anything else is to be open so that writing does not wait, or they may take the room that
/// was found. send(2), write(2).
public func writeWithoutWaiting(_ descriptor: Int32, _ bytes: [UInt8]) throws(SystemError) {
    do throws(SystemError) {
        _ = try Kernel.call("send") {
            bytes.withUnsafeBytes {
                CLinux.send(
                    descriptor, $0.baseAddress, $0.count, Int32(MSG_DONTWAIT) | Int32(MSG_NOSIGNAL))
            }
        }
    } catch {
        if error.errno != .notSocket { throw error }
        if hasRoom(descriptor) { try writeAll(descriptor, bytes) }
    }
}

/// Whether something can be written to `descriptor` without waiting: a pipe that can be written to has room
/// for a page. poll(2).
public func hasRoom(_ descriptor: Int32) -> Bool {
    var request = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
    return CLinux.poll(&request, 1, 0) != 0
}

/// Writes some of `bytes` and returns how many; throws EAGAIN where a socket takes none at once. What is no socket is
/// to be open so that writing does not wait, or to have been found ready. send(2), write(2).
public func writeNow(_ descriptor: Int32, _ bytes: UnsafeRawBufferPointer) throws(SystemError)
    -> Int
{
    do throws(SystemError) {
        return try Kernel.call("send") {
            CLinux.send(
                descriptor, bytes.baseAddress, bytes.count,
                Int32(MSG_DONTWAIT) | Int32(MSG_NOSIGNAL))
        }
    } catch {
        if error.errno != .notSocket { throw error }
        return try write(descriptor, bytes)
    }
}
