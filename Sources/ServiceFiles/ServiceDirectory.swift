import Bytes
import Commands
import Formats
import Linux
import Services

/// A service directory held open, and what its `supervise` holds. As the directory is held and never
/// looked up again, it may be renamed or unlinked meanwhile.
public struct ServiceDirectory: ~Copyable {
    /// The directory.
    public let place: Descriptor
    private var files: ControlFiles?

    /// What becomes of a service whose state has no place anywhere.
    public enum Fallback: Sendable {
        /// The service is not supervised.
        case none
        /// It runs all the same, without control FIFO and status.
        case uncontrolled
    }

    /// Which program of the directory it is for.
    public enum Part: Sendable {
        /// `run`.
        case service
        /// `log`, where that is a file.
        case logger
    }

    /// Sets up the directory open as `place`, called `name` in messages; its state is in `states` if it cannot be in it.
    /// Whatever was opened is closed again when it fails.
    public init(
        _ place: consuming Descriptor, name: ByteString, states: StatePlaces, fallback: Fallback,
        part: Part = .service
    ) throws(Failure) {
        files = try ServiceDirectory.openFiles(name, states, fallback, part, in: Directory(place))
        self.place = place
    }

    /// One that another image of this process held, uncontrolled.
    public init(adopting place: consuming Descriptor) {
        files = nil
        self.place = place
    }

    /// One that another image of this process held, locked.
    public init(
        adopting place: consuming Descriptor, supervise: consuming Descriptor,
        lock: consuming Descriptor, control: consuming Descriptor, ok: consuming Descriptor?
    ) {
        let locked = LockedDirectory(SuperviseDirectory(adopting: supervise), lock)
        files = ControlFiles(locked: locked, control: control, ok: ok)
        self.place = place
    }

    /// The numbers of its descriptors, -1 for what there is none of.
    public var numbers: (supervise: Int32, lock: Int32, control: Int32, ok: Int32) {
        switch files {
        case .some(let files):
            (
                files.locked.supervise.place.number, files.locked.lock.number,
                files.control.number, files.okNumber
            )
        case .none: (-1, -1, -1, -1)
        }
    }

    /// What the supervisor before this one wrote last; nil when there was none, or when another user may have written it
    /// or given it this name, who would choose the process that is signalled then.
    public var lastStatus: StatusRecord? {
        switch files {
        case .some(let files):
            do throws(SystemError) {
                let file = try files.locked.supervise.openStatus()
                let found = try status(of: file.number)
                guard [0, CurrentProcess.effectiveUser].contains(found.user), found.links == 1,
                    found.mode & 0o022 == 0
                else { return nil }
                return try StatusRecord(readFrom: file)
            } catch { return nil }
        case .none: return nil
        }
    }

    /// Tells svok that control FIFO and status are there: the last step.
    public mutating func announce() throws(SystemError) { try files?.openOK() }

    /// The control FIFO, to read commands from; nil when there is neither it nor a status file.
    public var control: Int32? {
        switch files {
        case .some(let files): files.control.number
        case .none: nil
        }
    }

    /// The highest number among its descriptors.
    public var highestNumber: Int32 { max(place.number, control ?? -1) }

    /// Whether the service is to start down. stat(2) of `down`.
    public static func isDown(_ place: borrowing Descriptor, name: ByteString) throws(Failure)
        -> Bool
    {
        do throws(SystemError) { return try exists("down", in: Directory(place)) } catch {
            throw error.explained("unable to stat \(name)/down")
        }
    }

    /// Replaces the status file; see `SuperviseDirectory.write`.
    public func write(_ status: StatusRecord, name: ByteString) throws(Failure) {
        switch files {
        case .some(let files): try files.locked.supervise.write(status, service: name)
        case .none: break
        }
    }

    /// Writes the first status file; see `SuperviseDirectory.writeFirst`.
    public func writeFirst(_ status: StatusRecord, name: ByteString) throws(Failure) {
        switch files {
        case .some(let files): try files.locked.supervise.writeFirst(status, service: name)
        case .none: break
        }
    }

    /// Replaces a file besides; see `SuperviseDirectory.replace`.
    public func replace(_ file: ByteString, with content: ByteString) throws(SystemError) {
        switch files {
        case .some(let files): try files.locked.supervise.replace(file, with: content)
        case .none: break
        }
    }

    private static func openFiles(
        _ name: ByteString, _ states: StatePlaces, _ fallback: Fallback, _ part: Part,
        in service: Directory
    ) throws(Failure) -> ControlFiles? {
        let supervise: ByteString
        do throws(SystemError) { supervise = try states.supervise(of: service) } catch {
            throw error.explained("unable to find the path of \(name)")
        }
        do throws(Failure) { return try openFiles(name, supervise, part, in: service) } catch {
            guard let errno = error.errno, errno.sendsStateElsewhere else { throw error }
            // A supervisor that may write there, or found another place, is not to be doubled.
            if isSupervised(service, states, part) { throw Failure(error.text, .again) }
            for candidate in states.candidates {
                if let files = try openFiles(name, candidate, states, part, for: service) {
                    return files
                }
            }
            if case .uncontrolled = fallback { return nil }
            throw error
        }
    }

    private static func isSupervised(_ service: Directory, _ states: StatePlaces, _ part: Part)
        -> Bool
    {
        do throws(SystemError) {
            let supervise = try SuperviseDirectory(of: service, or: states)
            switch part {
            case .service: return try supervise.isSupervised()
            case .logger: return try supervise.openLogger().isSupervised()
            }
        } catch { return false }
    }

    /// The same in one of the places; nil when that is not possible. Throws when another supervisor has it.
    private static func openFiles(
        _ name: ByteString, _ candidate: ByteString, _ states: StatePlaces, _ part: Part,
        for service: Directory
    ) throws(Failure) -> ControlFiles? {
        let state: Descriptor
        do throws(SystemError) { state = try states.make(in: candidate, for: service) } catch {
            return nil
        }
        do throws(Failure) {
            return try openFiles(name, SuperviseDirectory.name, part, in: Directory(state))
        } catch {
            if error.errno == .again { throw error }
            return nil
        }
    }

    private static func openFiles(
        _ name: ByteString, _ supervise: ByteString, _ part: Part, in service: Directory
    ) throws(Failure) -> ControlFiles {
        let locked: LockedDirectory
        do throws(SystemError) {
            locked = try LockedDirectory(in: service, named: supervise, part)
        } catch {
            throw error.explained("unable to acquire \(name)/\(SuperviseDirectory.File.lock.path)")
        }
        for file in [SuperviseDirectory.File.control, .ok] {
            do throws(SystemError) { try locked.supervise.makeFIFO(file) } catch {
                let verb: StaticString = error.errno == .notFIFO ? "read" : "create"
                throw error.explained("unable to \(verb) \(name)/\(file.path)")
            }
        }
        do throws(SystemError) {
            let control = try locked.supervise.openControl()
            return ControlFiles(locked: locked, control: control)
        } catch {
            throw error.explained("unable to read \(name)/\(SuperviseDirectory.File.control.path)")
        }
    }

    /// `supervise`, of which this is the one supervisor.
    private struct LockedDirectory: ~Copyable {
        let supervise: SuperviseDirectory
        let lock: Descriptor

        init(in service: Directory, named name: ByteString, _ part: Part) throws(SystemError) {
            var supervise = try SuperviseDirectory(makingIn: service, named: name)
            if part == .logger { supervise = try supervise.makeLogger() }
            lock = try supervise.takeLock()
            self.supervise = supervise
        }

        init(_ supervise: consuming SuperviseDirectory, _ lock: consuming Descriptor) {
            self.supervise = supervise
            self.lock = lock
        }
    }

    private struct ControlFiles: ~Copyable {
        let locked: LockedDirectory
        let control: Descriptor
        var ok: Descriptor?

        var okNumber: Int32 {
            switch ok {
            case .some(let ok): ok.number
            case .none: -1
            }
        }

        mutating func openOK() throws(SystemError) { ok = try locked.supervise.openOK() }
    }
}
