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

    /// Opens the FIFO of the supervisor of `scan`, as a client does. Throws ENXIO when there is none, also where there
    /// never was one.
    public static func openCommands(of scan: Directory, or states: StatePlaces) throws(SystemError)
        -> Descriptor
    {
        do throws(SystemError) {
            return try SuperviseDirectory(of: scan, named: name, or: states).openCommands()
        } catch {
            if error.errno == .noEntry { throw SystemError(error.call, .noReader) }
            throw error
        }
    }
}
