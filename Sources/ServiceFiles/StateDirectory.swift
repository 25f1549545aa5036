import Bytes
import Commands
import Linux
import Services

extension StatePlaces {
    /// Where a supervisor with this environment keeps state that has no place in its directory.
    public init(ofSupervisorWith environment: Environment) {
        self.init(
            chosen: environment["SVSTATE"], runtimeDirectory: environment["XDG_RUNTIME_DIR"],
            user: CurrentProcess.effectiveUser, supervise: environment["SUPERVISEDIR"])
    }

    /// Where a client with this environment looks for it.
    public init(ofClientWith environment: Environment) {
        var processOne: UInt32?
        do throws(SystemError) { processOne = try status(of: "/proc/1").user } catch {
            // Without /proc, only what is its own user's is believed.
        }
        self.init(
            chosen: environment["SVSTATE"], runtimeDirectory: environment["XDG_RUNTIME_DIR"],
            user: CurrentProcess.effectiveUser, processOne: processOne,
            supervise: environment["SUPERVISEDIR"])
    }

    /// Opens the directory in `candidate` that stands for `service`. No link is followed that a stranger made. Throws
    /// ENOENT when there is none, and EPERM when a stranger could have made it, or could change it.
    func open(_ candidate: ByteString, for service: Directory) throws(SystemError) -> Descriptor {
        let base = try check(try openTrusted(candidate, .place))
        return try check(
            try openFile(
                try StatePlaces.name(of: service), OpenMode.place.notFollowing, in: Directory(base))
        )
    }

    /// The same for a supervisor: both directories are made if they are missing, and the second is this user's own.
    func make(in candidate: ByteString, for service: Directory) throws(SystemError) -> Descriptor {
        let base = try check(try openTrusted(candidate, .place, makingDirectory: 0o755))
        let name = try StatePlaces.name(of: service)
        do throws(SystemError) {
            try makeDirectory(name, permissions: 0o755, in: Directory(base))
        } catch { if error.errno != .exists { throw error } }
        let made = try check(try openFile(name, OpenMode.place.notFollowing, in: Directory(base)))
        if try status(of: made.number).user != user { throw SystemError("open", .notPermitted) }
        return made
    }

    /// Where the `supervise` of a service directory is, seen from there. readlink(2) of what /proc says of it.
    func supervise(of service: Directory) throws(SystemError) -> ByteString {
        if !dependOnPath { return supervise(of: "") }
        let name: ByteString = service.isCurrent ? "cwd" : "fd/\(service.number)"
        return supervise(of: try readLink("/proc/self/\(name)"))
    }

    private static func name(of service: Directory) throws(SystemError) -> ByteString {
        let identity = try status(of: ".", in: service).identity
        return name(device: identity.device, inode: identity.inode)
    }

    private func check(_ directory: consuming Descriptor) throws(SystemError) -> Descriptor {
        let status = try Linux.status(of: directory.number)
        if !trusts(owner: status.user, permissions: status.mode & 0o7777) {
            throw SystemError("open", .notPermitted)
        }
        return directory
    }
}

extension Errno {
    /// Whether it tells that `supervise` cannot be in its directory, though nothing is wrong with that: the file system
    /// is read-only, or cannot hold FIFOs, or the directory is another user's.
    public var sendsStateElsewhere: Bool {
        [.readOnly, .accessDenied, .notPermitted, .noSystemCall, .notSupported].contains(self)
    }
}

extension SuperviseDirectory {
    /// Opens the one of `service` as a client does, wherever its supervisor had to put it. Throws what opening the one
    /// in `service` itself threw when there is no other, and EACCES when this user may not look into the other.
    public init(
        of service: Directory, named name: ByteString = SuperviseDirectory.name,
        or places: StatePlaces
    ) throws(SystemError) {
        var best: SuperviseDirectory?
        var trouble = SystemError("open", .noEntry, subject: name)
        do throws(SystemError) {
            let own = name == SuperviseDirectory.name ? try places.supervise(of: service) : name
            best = try SuperviseDirectory(of: service, named: own)
        } catch { trouble = error }
        for candidate in places.candidates {
            let state: Descriptor
            do throws(SystemError) { state = try places.open(candidate, for: service) } catch {
                continue
            }
            let other: SuperviseDirectory
            do throws(SystemError) {
                other = try SuperviseDirectory(of: Directory(state), named: name)
            } catch {
                // It is there, and not for everybody.
                if error.errno == .accessDenied && trouble.errno == .noEntry { trouble = error }
                continue
            }
            // Mostly there is none, and nobody is woken by being asked.
            let findings = [SuperviseDirectory.finding(best, name), other.finding(name)]
            if StatePlaces.choice(among: findings) == 1 { best = consume other }
        }
        switch consume best {
        case .some(let best): self = best
        case .none: throw trouble
        }
    }

    private static func finding(_ directory: borrowing SuperviseDirectory?, _ name: ByteString)
        -> StatePlaces.Finding
    {
        switch directory {
        case .some(let directory): directory.finding(name)
        case .none: .absent
        }
    }

    private borrowing func finding(_ name: ByteString) -> StatePlaces.Finding {
        do throws(SystemError) {
            let file: File = name == SuperviseDirectory.name ? .ok : .control
            _ = try openFIFO(file.name, .write, in: Directory(place))
            return .supervised
        } catch {
            switch error.errno {
            case .noReader: return .unsupervised
            case .noEntry: return .absent
            default: return .unknown
            }
        }
    }
}
