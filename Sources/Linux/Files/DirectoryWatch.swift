import Bytes
import CLinux

/// Tells what changes in watched directories. inotify(7).
public struct DirectoryWatch: ~Copyable {
    /// One change that was reported.
    public struct Change {
        /// The watch that saw it; -1 when changes were so many that some are not told.
        public let watch: Int32
        /// The name it is about; empty when it is about the directory itself.
        public let name: ByteString
        /// Whether the name came by a rename, so that what it names is complete.
        public let isArrival: Bool
        /// Whether the directory itself has been moved or removed.
        public let isOfDirectory: Bool
    }

    /// Becomes readable on a change.
    public let descriptor: Descriptor

    /// Watches nothing yet. Throws where the kernel or its limits offer no inotify.
    public init() throws(SystemError) {
        descriptor = Descriptor(
            owning: try Kernel.call("inotify_init") {
                inotify_init1(Int32(CL_IN_CLOEXEC | CL_IN_NONBLOCK))
            })
    }

    /// Watches names coming, going and changing in `path`, and the directory itself; returns the watch's
    /// number, which is the same for the same directory.
    public func add(_ path: ByteString) throws(SystemError) -> Int32 {
        let number = descriptor.number
        return try Kernel.call("inotify_add_watch", path) {
            path.withCString { inotify_add_watch(number, $0, UInt32(CL_IN_CHANGES)) }
        }
    }

    /// Stops watching. inotify_rm_watch(2).
    public func remove(_ watch: Int32) throws(SystemError) {
        let number = descriptor.number
        _ = try Kernel.call("inotify_rm_watch") { inotify_rm_watch(number, watch) }
    }

    /// Takes what has been reported, and calls `body` with each change; not all when there is no end of
    /// them. Call it before looking at the directory anew.
    public func drain(_ body: (Change) -> Void) throws(SystemError) {
        try withUnsafeTemporaryAllocation(byteCount: 8192, alignment: 8) {
            (buffer) throws(SystemError) in
            for _ in 0..<64 {
                let count: Int
                do throws(SystemError) { count = try descriptor.read(into: buffer) } catch {
                    if error.errno == .again { return }
                    throw error
                }
                var offset = 0
                while offset < count {
                    let event = buffer.load(fromByteOffset: offset, as: inotify_event.self)
                    offset += MemoryLayout<inotify_event>.size
                    body(change(event, buffer[offset..<(offset + Int(event.len))]))
                    offset += Int(event.len)
                }
            }
        }
    }

    private func change(
        _ event: inotify_event, _ name: Slice<UnsafeMutableRawBufferPointer>
    ) -> Change {
        let itself = UInt32(IN_MOVE_SELF | IN_DELETE_SELF | IN_IGNORED | IN_UNMOUNT)
        return Change(
            watch: event.wd, name: ByteString(name),
            isArrival: event.mask & UInt32(IN_MOVED_TO) != 0,
            isOfDirectory: event.mask & itself != 0)
    }
}
