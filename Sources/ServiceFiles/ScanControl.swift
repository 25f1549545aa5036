import Bytes
import Linux
import Services

/// What can be asked of whoever supervises a scan directory: one byte each, written by svscanctl into its FIFO.
public enum ScanCommand: UInt8, CaseIterable, Sendable {
    /// `h`: look at the directory now, as on SIGHUP.
    case rescan = 0x68
    /// `t`: stop everything and end, as on SIGTERM.
    case stop = 0x74
    /// `u`: become the binary that has this one's name by now, and go on.
    case upgrade = 0x75
    /// `U`: the same with the binary that `.svscan/binary` names.
    case upgradeToNamed = 0x55
}

/// The directory `.svscan` of a scan directory, by which its supervisor and svscanctl meet: `lock` and `control`, made,
/// opened and trusted like those in a service's `supervise`. Dot names are no services, so it disturbs nobody, and
/// permissions on `control` say who may use it.
public struct ScanControl: ~Copyable {
    /// Its name in a scan directory.
    public static let name: ByteString = ".svscan"
    private let lock: Descriptor
    private let control: Descriptor

    /// Sets it up as the supervisor of `scan`, in one of `states` if it cannot be there. Throws EAGAIN when there is
    /// another one, and why it cannot be in `scan` where it cannot be anywhere.
    public init(makingIn scan: Directory, or states: StatePlaces) throws(SystemError) {
        do throws(SystemError) {
            self = try ScanControl(makingIn: scan)
            return
        } catch {
            if !error.errno.sendsStateElsewhere { throw error }
            for candidate in states.candidates {
                do throws(SystemError) {
                    let state = try states.make(in: candidate, for: scan)
                    self = try ScanControl(makingIn: Directory(state))
                    return
                } catch let other { if other.errno == .again { throw other } }
            }
            throw error
        }
    }

    private init(makingIn scan: Directory) throws(SystemError) {
        let directory = try SuperviseDirectory(makingIn: scan, named: ScanControl.name)
        let lock = try directory.takeLock()
        try directory.makeFIFO(.control)
        control = try directory.openControl()
        self.lock = lock
    }

    /// One that another image of this process set up.
    public init(adopting lock: consuming Descriptor, control: consuming Descriptor) {
        self.lock = lock
        self.control = control
    }

    /// The number of what is locked.
    public var lockNumber: Int32 { lock.number }

    /// Becomes readable when commands have come.
    public var number: Int32 { control.number }
}

/// The other side: what svscanctl has to do with the supervisor of a scan directory.
public struct ScanClient: ~Copyable {
    private let directory: SuperviseDirectory
    /// The FIFO that commands are written to.
    public let control: Descriptor

    /// Opens what the supervisor of `scan` reads from. Throws ENXIO when there is none, also where there never was one.
    public init(of scan: Directory, or states: StatePlaces) throws(SystemError) {
        do throws(SystemError) {
            let directory = try SuperviseDirectory(of: scan, named: ScanControl.name, or: states)
            control = try directory.openCommands()
            self.directory = directory
        } catch {
            if error.errno == .noEntry { throw SystemError(error.call, .noReader) }
            throw error
        }
    }

    /// Writes down which binary the next `U` means, by its absolute path. Others must be able to read the file.
    public borrowing func name(binary path: ByteString) throws(SystemError) {
        try directory.replace(SuperviseDirectory.nameOfBinary, with: path)
    }
}

extension SuperviseDirectory {
    fileprivate static let nameOfBinary: ByteString = "binary"
    /// What the kernel takes for a path: PATH_MAX without the byte that ends it.
    private static let longestPath = 4095

    /// Takes the path that a client wrote down, which therefore counts once. Throws `Errno.foreignFile` when it may be
    /// another user's than root or this process's own, and EINVAL when it is no absolute path.
    public borrowing func takeNameOfBinary() throws(SystemError) -> ByteString {
        let name = SuperviseDirectory.nameOfBinary
        let file = try openRegularFile(name, .read, in: Directory(place))
        let status = try Linux.status(of: file.number)
        try removeFile(name, in: Directory(place))
        if !status.isOwn || status.links != 1 { throw SystemError("open", .foreignFile) }
        let path = try contents(of: file.number, limit: SuperviseDirectory.longestPath)
        guard path.first == UInt8(ascii: "/"), !path.contains(0) else {
            throw SystemError("open", .invalid)
        }
        return ByteString(path)
    }
}
