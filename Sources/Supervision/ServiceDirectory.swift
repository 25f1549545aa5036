import Bytes
import Commands
import Formats
import Linux

/// A service directory held open, and the files in its `supervise` through which a service is locked,
/// controlled and looked at: what daemontools' supervise makes, in its order, with its permissions.
/// As the directory is held and never looked up again, it may be renamed or unlinked meanwhile.
struct ServiceDirectory: ~Copyable {
    /// The directory.
    let place: Descriptor
    private var files: ControlFiles?

    /// What may go wrong with a file system that cannot be written to.
    enum Fallback {
        /// The service is not supervised.
        case none
        /// It runs all the same, without control FIFO and status.
        case uncontrolled
    }

    /// Sets up the directory open as `place`, called `name` in messages. Whatever was opened is closed
    /// again when it fails.
    init(_ place: consuming Descriptor, name: ByteString, fallback: Fallback) throws(Failure) {
        files = try ServiceDirectory.openFiles(name, fallback, in: Directory(place))
        self.place = place
    }

    /// Tells svok that control FIFO and status are there: the last step.
    mutating func announce() throws(SystemError) {
        if files == nil { return }
        let ok = try openFile(Path.ok, .read, in: Directory(place))
        files?.ok = consume ok
    }

    /// The control FIFO, to read commands from; nil when there is neither it nor a status file.
    var control: Int32? {
        switch files {
        case .some(let files): files.control.number
        case .none: nil
        }
    }

    /// The highest number among its descriptors.
    var highestNumber: Int32 { max(place.number, control ?? -1) }

    /// Whether the service is to start down. stat(2) of `down`.
    static func isDown(_ place: borrowing Descriptor, name: ByteString) throws(Failure) -> Bool {
        do throws(SystemError) { return try exists(Path.down, in: Directory(place)) } catch {
            throw error.explained("unable to stat \(name)/down")
        }
    }

    /// Replaces the status file at once: whoever reads it sees the old or the new one, whole. Where there
    /// is no room for two, the old one is overwritten: it would tell of a process that is gone.
    func write(_ status: StatusRecord, name: ByteString) throws(Failure) {
        do throws(Failure) { try write(status, to: Path.newStatus, name) } catch {
            guard error.errno == .noSpace else { throw error }
            return try write(status, to: Path.status, mode: .write, name)
        }
        do throws(SystemError) {
            try rename(Path.newStatus, to: Path.status, in: Directory(place))
        } catch {
            throw error.explained("unable to rename \(name)/\(Path.newStatus) to status")
        }
    }

    /// Writes the first status file. Nobody reads it before `announce`, so it is written in place; one
    /// that an earlier supervisor left is removed, which costs less than replacing it.
    func writeFirst(_ status: StatusRecord, name: ByteString) throws(Failure) {
        do throws(SystemError) { try removeFile(Path.status, in: Directory(place)) } catch {
            if error.errno != .noEntry {
                throw error.explained("unable to remove \(name)/\(Path.status)")
            }
        }
        try write(status, to: Path.status, name)
    }

    private func write(
        _ status: StatusRecord, to path: ByteString, mode: OpenMode = .truncate,
        _ name: ByteString
    ) throws(Failure) {
        let file: Descriptor
        do throws(SystemError) {
            file = try openFile(path, mode, in: Directory(place))
        } catch {
            throw error.explained("unable to open \(name)/\(path)")
        }
        do throws(SystemError) {
            try writeAll(file.number, status.bytes)
            try file.close()
        } catch {
            throw error.explained("unable to write \(name)/\(path)")
        }
    }

    private static func openFiles(
        _ name: ByteString, _ fallback: Fallback, in directory: Directory
    ) throws(Failure) -> ControlFiles? {
        let lock: Descriptor
        do throws(SystemError) { lock = try takeLock(in: directory) } catch {
            if error.errno == .readOnly, case .uncontrolled = fallback { return nil }
            throw error.explained("unable to acquire \(name)/supervise/lock")
        }
        try makeFIFO(Path.control, name, in: directory)
        try makeFIFO(Path.ok, name, in: directory)
        do throws(SystemError) {
            let control = try openFile(Path.control, .readWrite, in: directory)
            return ControlFiles(lock: lock, control: control, ok: nil)
        } catch {
            throw error.explained("unable to read \(name)/\(Path.control)")
        }
    }

    private static func takeLock(in directory: Directory) throws(SystemError) -> Descriptor {
        do throws(SystemError) {
            try makeDirectory(Path.supervise, permissions: 0o700, in: directory)
        } catch {
            if error.errno != .exists { throw error }
        }
        let file: Descriptor
        do throws(SystemError) { file = try openFile(Path.lock, .append, in: directory) } catch {
            if error.errno != .noEntry { throw error }
            // `supervise` may be a link to a place that is made at every boot.
            let target = try readLink(Path.supervise, in: directory)
            try makeDirectory(target, permissions: 0o700, in: directory)
            file = try openFile(Path.lock, .append, in: directory)
        }
        try Linux.lock(file, wait: false)
        return file
    }

    private static func makeFIFO(
        _ path: ByteString, _ name: ByteString, in directory: Directory
    ) throws(Failure) {
        do throws(SystemError) {
            try Linux.makeFIFO(path, permissions: 0o600, in: directory)
        } catch {
            if error.errno != .exists { throw error.explained("unable to create \(name)/\(path)") }
            if !isFIFO(path, in: directory) {
                throw Failure("unable to read \(name)/\(path): not a FIFO")
            }
        }
    }

    private static func isFIFO(_ path: ByteString, in directory: Directory) -> Bool {
        do throws(SystemError) { return try Linux.status(of: path, in: directory).isFIFO } catch {
            return false
        }
    }

    private struct ControlFiles: ~Copyable {
        let lock: Descriptor
        let control: Descriptor
        var ok: Descriptor?
    }

    private enum Path {
        static let down: ByteString = "down"
        static let supervise: ByteString = "supervise"
        static let lock: ByteString = "supervise/lock"
        static let control: ByteString = "supervise/control"
        static let ok: ByteString = "supervise/ok"
        static let status: ByteString = "supervise/status"
        static let newStatus: ByteString = "supervise/status.new"
    }
}
