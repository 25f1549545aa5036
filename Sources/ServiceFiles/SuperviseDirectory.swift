import Bytes
import Commands
import Formats
import Linux

/// The directory `supervise` of a service directory, held open, and the files in it through which a
/// supervisor and its clients meet: the names, order and permissions of daemontools' supervise.
///
/// Whoever may write to it gains nothing by it. `supervise` itself may be a symbolic link, as
/// `openTrusted` has it: made by root or by the process's own effective user, or leading to a directory
/// of whoever made it. What is in it is opened relative to the open directory, never through a link,
/// and only when it is of the kind it should be. The status file is made anew and renamed. So the
/// directory may belong to anybody, which is how a user comes to use svc on a service that root
/// supervises: the directory is his, or its files `control` and `ok` are.
public struct SuperviseDirectory: ~Copyable {
    /// A file in it.
    public enum File: CaseIterable, Sendable {
        /// Locked as long as somebody supervises the service.
        case lock
        /// The FIFO for commands.
        case control
        /// The FIFO whose reader is the supervisor.
        case ok
        /// The state of the service.
        case status
        /// The next `status`, until it is complete.
        case newStatus

        /// Its name in the directory.
        public var name: ByteString {
            switch self {
            case .lock: "lock"
            case .control: "control"
            case .ok: "ok"
            case .status: "status"
            case .newStatus: "status.new"
            }
        }

        /// Its path from the service directory, for messages.
        public var path: ByteString { "\(SuperviseDirectory.name)/\(name)" }
    }

    /// Its name in a service directory.
    public static let name: ByteString = "supervise"
    /// The name in it of the one for a logger that is a file, as daemontools-encore has it.
    static let nameForLogger: ByteString = "log"

    /// The directory, open only as a place for names.
    public let place: Descriptor

    /// Opens the one of `service` as a client does. openat(2); throws ENOENT when there is none and
    /// `Errno.foreignLink` when the way to it is not to be trusted. What is not a service's has another name.
    public init(of service: Directory, named name: ByteString = SuperviseDirectory.name)
        throws(SystemError)
    {
        place = try openTrusted(name, .place, in: service)
    }

    /// Opens the one of `service` as a supervisor does: made with permissions 0700 when it is missing,
    /// also when it is a link to a place that is made at every boot.
    public init(makingIn service: Directory, named name: ByteString = SuperviseDirectory.name)
        throws(SystemError)
    {
        place = try openTrusted(
            name, .place, in: service, makingDirectory: 0o700, alsoBehindLink: true)
    }

    /// Opens the one of the logger that is a file of the service directory.
    public borrowing func openLogger() throws(SystemError) -> SuperviseDirectory {
        try SuperviseDirectory(of: directory, named: SuperviseDirectory.nameForLogger)
    }

    /// Makes the one of the logger that is a file of the service directory.
    borrowing func makeLogger() throws(SystemError) -> SuperviseDirectory {
        try SuperviseDirectory(makingIn: directory, named: SuperviseDirectory.nameForLogger)
    }

    /// One that another image of this process opened.
    init(adopting place: consuming Descriptor) { self.place = place }

    private var directory: Directory { Directory(place) }
}

// What a supervisor does, in this order.
extension SuperviseDirectory {
    /// Takes the lock for as long as the descriptor is open; throws EAGAIN when another supervisor has
    /// it. openat(2), flock(2).
    public borrowing func takeLock() throws(SystemError) -> Descriptor {
        let file = try openRegularFile(File.lock.name, .append, in: directory)
        try Linux.lock(file, wait: false)
        return file
    }

    /// Makes a FIFO that its owner alone may use, unless it is there; throws `Errno.notFIFO` when
    /// something else has its name. mkfifoat(3).
    public borrowing func makeFIFO(_ file: File) throws(SystemError) {
        do throws(SystemError) {
            try Linux.makeFIFO(file.name, permissions: 0o600, in: directory)
        } catch {
            if error.errno != .exists { throw error }
            if try !Linux.status(of: file.name, in: directory, followLinks: false).isFIFO {
                throw SystemError("open", .notFIFO, subject: file.name)
            }
        }
    }

    /// Opens `control` for reading, and for writing so that it never ends. Reads do not wait.
    public borrowing func openControl() throws(SystemError) -> Descriptor {
        try openFIFO(File.control.name, .readWrite, in: directory)
    }

    /// Opens `ok` for reading, which tells clients that somebody supervises the service: the last step,
    /// when `control` and `status` are there.
    public borrowing func openOK() throws(SystemError) -> Descriptor {
        try openFIFO(File.ok.name, .read, in: directory)
    }

    /// Replaces the status file at once: whoever reads it sees the old or the new one, whole. Where
    /// there is no room for two, the old one is overwritten if this user wrote it: else it would tell of
    /// a process that is gone. `service` is the name of the service in messages.
    public borrowing func write(_ status: StatusRecord, service: ByteString) throws(Failure) {
        do throws(Failure) { try writeNew(status, .newStatus, service) } catch {
            guard error.errno == .noSpace else { throw error }
            return try overwrite(status, service)
        }
        do throws(SystemError) {
            try rename(File.newStatus.name, to: File.status.name, in: directory)
        } catch {
            throw error.explained("unable to rename \(service)/\(File.newStatus.path) to status")
        }
    }

    /// Writes the first status file. Nobody reads it before `openOK`, so it is written in place of one
    /// that an earlier supervisor left, which costs less than replacing that.
    public borrowing func writeFirst(_ status: StatusRecord, service: ByteString) throws(Failure) {
        try writeNew(status, .status, service)
    }

    /// Replaces another file at once, such as those that only runit has.
    public borrowing func replace(_ name: ByteString, with content: ByteString) throws(SystemError)
    {
        let new: ByteString = "\(name).new"
        do throws(SystemError) { try removeFile(new, in: directory) } catch {
            if error.errno != .noEntry { throw error }
        }
        let file = try openFile(new, .createNew, in: directory)
        try writeAll(file.number, Array(content.bytes))
        try file.close()
        try rename(new, to: name, in: directory)
    }

    private borrowing func writeNew(
        _ status: StatusRecord, _ file: File, _ service: ByteString
    ) throws(Failure) {
        let new: Descriptor
        do throws(SystemError) { new = try create(file) } catch {
            throw error.explained("unable to open \(service)/\(file.path)")
        }
        try SuperviseDirectory.write(status, to: new, file, service)
    }

    /// A file that was not there; what has its name is removed.
    private borrowing func create(_ file: File) throws(SystemError) -> Descriptor {
        do throws(SystemError) { return try openFile(file.name, .createNew, in: directory) } catch {
            if error.errno != .exists { throw error }
        }
        try removeFile(file.name, in: directory)
        return try openFile(file.name, .createNew, in: directory)
    }

    /// Overwrites the status file, unless it may be another file's name, put here by somebody else.
    private borrowing func overwrite(_ status: StatusRecord, _ service: ByteString) throws(Failure)
    {
        let file: Descriptor
        do throws(SystemError) {
            file = try openOwnStatus()
        } catch {
            throw error.explained("unable to open \(service)/\(File.status.path)")
        }
        try SuperviseDirectory.write(status, to: file, .status, service)
    }

    private borrowing func openOwnStatus() throws(SystemError) -> Descriptor {
        let file = try openRegularFile(File.status.name, .write, in: directory)
        let found = try Linux.status(of: file.number)
        if found.links != 1 || found.user != CurrentProcess.effectiveUser {
            throw SystemError("open", .notPermitted)
        }
        return file
    }

    private static func write(
        _ status: StatusRecord, to descriptor: consuming Descriptor, _ file: File,
        _ service: ByteString
    ) throws(Failure) {
        do throws(SystemError) {
            try writeAll(descriptor.number, status.bytes)
            try descriptor.close()
        } catch {
            throw error.explained("unable to write \(service)/\(file.path)")
        }
    }
}

// What clients do.
extension SuperviseDirectory {
    /// Whether somebody supervises the service: whether `ok` has a reader.
    public borrowing func isSupervised() throws(SystemError) -> Bool {
        do throws(SystemError) {
            _ = try openFIFO(File.ok.name, .write, in: directory)
            return true
        } catch {
            if error.errno == .noReader { return false }
            throw error
        }
    }

    /// Opens the status file, to be read with `StatusRecord(readFrom:)`.
    public borrowing func openStatus() throws(SystemError) -> Descriptor {
        try openRegularFile(File.status.name, .read, in: directory)
    }

    /// Opens `control` for commands; throws ENXIO when nobody supervises the service.
    public borrowing func openCommands() throws(SystemError) -> Descriptor {
        try openFIFO(File.control.name, .write, in: directory)
    }
}

extension StatusRecord {
    /// Reads a status file; nil when it is too short.
    public init?(readFrom file: borrowing Descriptor) throws(SystemError) {
        var bytes = [UInt8](repeating: 0, count: StatusRecord.longest)
        let count = try bytes.withUnsafeMutableBufferPointer { (buffer) throws(SystemError) in
            try file.read(into: UnsafeMutableRawBufferPointer(buffer))
        }
        self.init(bytes[..<count])
    }
}

/// Writes `commands`, one letter each, into what `openCommands` opened, all of them or none. A FIFO that
/// its supervisor does not empty throws ETIMEDOUT at `deadline`. SIGPIPE is the caller's to ignore.
public func send(
    _ commands: [UInt8], to control: borrowing Descriptor, until deadline: Instant
) throws(SystemError) {
    while true {
        do throws(SystemError) {
            // So few bytes go as one, or not at all: pipe(7), PIPE_BUF.
            _ = try commands.withUnsafeBufferPointer { (bytes) throws(SystemError) in
                try control.write(UnsafeRawBufferPointer(bytes))
            }
            return
        } catch {
            if error.errno != .again { throw error }
        }
        let milliseconds = deadline.millisecondsLeft
        if milliseconds == 0 { throw SystemError("write", .timedOut) }
        var awaited = [Awaited(control.number, .write)]
        try poll(&awaited, milliseconds: milliseconds)
    }
}
