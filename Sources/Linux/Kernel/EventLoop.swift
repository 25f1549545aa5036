import Bytes
import CLinux

/// Waits for descriptors and a deadline. It knows nothing of what they mean: each is registered with
/// a token, and the tokens of the ready ones come back. epoll(7).
public struct EventLoop: ~Copyable {
    /// What is ready, and how.
    public struct Event: Sendable {
        /// The token given at registration.
        public let token: UInt64
        /// Something can be read, or end of file was reached.
        public let isReadable: Bool
        /// Something can be written.
        public let isWritable: Bool
        /// The other side is gone, or the descriptor is in error.
        public let isHangup: Bool
    }

    /// What to wait for.
    public struct Interest: OptionSet, Sendable {
        /// The bits of epoll_ctl(2).
        public let rawValue: UInt32
        /// An interest in the given bits.
        public init(rawValue: UInt32) { self.rawValue = rawValue }
        /// Readable.
        public static let read = Interest(rawValue: UInt32(CL_EPOLLIN))
        /// Writable.
        public static let write = Interest(rawValue: UInt32(CL_EPOLLOUT))
        /// A change that some files of the kernel report, as a hangup here. EPOLLPRI.
        public static let exceptional = Interest(rawValue: UInt32(CL_EPOLLPRI))
    }

    private let descriptor: Descriptor
    private let batch = 64

    /// A number for `poll`, which finds it readable when something is ready.
    public var number: Int32 { descriptor.number }

    /// A loop with nothing registered.
    public init() throws(SystemError) {
        descriptor = Descriptor(
            owning: try Kernel.call("epoll_create") { epoll_create1(Int32(CL_EPOLL_CLOEXEC)) })
    }

    /// Registers a descriptor, which leaves the loop when closed.
    public func add(_ number: Int32, _ interest: Interest = .read, token: UInt64)
        throws(SystemError)
    { try control(EPOLL_CTL_ADD, number, interest, token) }

    /// Takes a descriptor out; needed only while it, or a duplicate of it, stays open.
    public func remove(_ number: Int32) throws(SystemError) {
        try control(EPOLL_CTL_DEL, number, [], 0)
    }

    private func control(_ operation: Int32, _ number: Int32, _ interest: Interest, _ token: UInt64)
        throws(SystemError)
    {
        var event = epoll_event()
        event.events = interest.rawValue
        event.data.u64 = token
        let loop = descriptor.number
        _ = try Kernel.call("epoll_ctl") { epoll_ctl(loop, operation, number, &event) }
    }

    /// Waits until something is ready or `deadline` has passed; without a deadline, for ever. Puts
    /// what is ready in `events`, nothing when the time ran out. epoll_wait(2).
    public func wait(until deadline: Instant?, _ events: inout [Event]) throws(SystemError) {
        events.removeAll(keepingCapacity: true)
        let loop = descriptor.number
        try withUnsafeTemporaryAllocation(of: epoll_event.self, capacity: batch) {
            (ready) throws(SystemError) in
            let count: Int32
            do throws(SystemError) {
                count = try Kernel.call("epoll_wait", retry: false) {
                    epoll_wait(
                        loop, ready.baseAddress, Int32(ready.count),
                        deadline?.millisecondsLeft ?? -1)
                }
            } catch {
                if error.errno == .interrupted { return }
                throw error
            }
            for event in ready[..<Int(count)] {
                events.append(
                    Event(
                        token: event.data.u64,
                        isReadable: event.events & UInt32(CL_EPOLLIN) != 0,
                        isWritable: event.events & UInt32(CL_EPOLLOUT) != 0,
                        isHangup: event.events & UInt32(CL_EPOLLHUP | CL_EPOLLERR) != 0))
            }
        }
    }
}
