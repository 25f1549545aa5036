import Bytes
import Linux

/// What a service directory that may still be filled looks like.
struct ServiceLook {
    /// A number that differs when anything in the directory, or in its `log`, differs.
    private(set) var signature: UInt64 = 0xcbf2_9ce4_8422_2325
    /// Whether there is a `run`, in `log` too if there is one.
    private(set) var hasRun = false

    /// Looks at the directory open as `place`.
    init(at place: borrowing Descriptor) throws(SystemError) {
        try add(".", in: Directory(place))
        hasRun = try exists("run", in: Directory(place))
        guard try exists("log", in: Directory(place)) else { return }
        try add("log", in: Directory(place))
        do throws(SystemError) {
            let isLogComplete = try exists("log/run", in: Directory(place))
            hasRun = hasRun && isLogComplete
        } catch {
            // It is no directory, which is told when it is to be supervised.
        }
    }

    /// Adds a directory's entries, as many as a service directory has, and itself.
    private mutating func add(_ path: ByteString, in directory: Directory) throws(SystemError) {
        let status = try Linux.status(of: path, in: directory)
        add(status)
        guard status.isDirectory else { return }
        for name in try entries(of: path, in: directory).prefix(256) {
            do throws(SystemError) {
                add(try Linux.status(of: "\(path)/\(name)", in: directory, followLinks: false))
            } catch {
                // It went meanwhile, which changes the directory too.
            }
        }
    }

    private mutating func add(_ status: FileStatus) {
        for value in [
            status.identity.inode, UInt64(status.size), UInt64(bitPattern: status.changed),
        ] {
            signature = (signature ^ value) &* 0x100_0000_01b3
        }
    }
}
