import Bytes
import CLinux

/// Tells when something in watched directories changes; not what. inotify(7).
public struct DirectoryWatch: ~Copyable {
    /// Becomes readable on a change.
    public let descriptor: Descriptor

    /// Watches nothing yet. Throws where the kernel or its limits offer no inotify.
    public init() throws(SystemError) {
        descriptor = Descriptor(
            owning: try Kernel.call("inotify_init") {
                inotify_init1(Int32(CL_IN_CLOEXEC | CL_IN_NONBLOCK))
            })
    }

    /// Watches names coming, going and changing in `path`; returns the watch's number.
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

    /// Forgets what has been reported so far; call before looking at the directory anew. Returns
    /// the watches that reported something.
    public func drain() throws(SystemError) -> [Int32] {
        var watches: [Int32] = []
        try withUnsafeTemporaryAllocation(byteCount: 8192, alignment: 8) {
            (buffer) throws(SystemError) in
            while true {
                let count: Int
                do throws(SystemError) { count = try descriptor.read(into: buffer) } catch {
                    if error.errno == .again { return }
                    throw error
                }
                var offset = 0
                while offset < count {
                    let event = buffer.load(fromByteOffset: offset, as: inotify_event.self)
                    if watches.last != event.wd { watches.append(event.wd) }
                    offset += MemoryLayout<inotify_event>.size + Int(event.len)
                }
            }
        }
        return watches
    }
}
