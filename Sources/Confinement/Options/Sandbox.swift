import Bytes
import Commands
import Formats
import Linux

/// What of the system a program has for itself, and which files it cannot write or reach: by namespaces and mounts that
/// only it and what it starts see.
struct Sandbox: Sendable {
    /// A path of a list.
    private struct Place {
        let path: ByteString
        /// Whether it is no error when it is not there.
        let mayBeMissing: Bool

        /// How far below the root directory it is.
        var depth: Int {
            path.parts(separatedBy: UInt8(ascii: "/")).count { !$0.isEmpty && $0 != "." }
        }
    }

    private var namespaces: Namespaces = []
    var hasOwnTemporaryFiles = false
    var hasOwnDevices = false
    private var readOnly: [Place] = []
    private var readWrite: [Place] = []
    private var inaccessible: [Place] = []

    /// Whether nothing is asked for.
    var isEmpty: Bool { namespaces.isEmpty && !changesMounts }

    /// Whether it writes files of /proc/self, which must be this user's.
    var hasOwnUsers: Bool { namespaces.contains(.user) }

    /// Whether it goes on in a copy of this process.
    var hasOwnProcesses: Bool { namespaces.contains(.process) }

    private var changesMounts: Bool {
        hasOwnTemporaryFiles || hasOwnDevices || hasOwnProcesses
            || !(readOnly.isEmpty && readWrite.isEmpty && inaccessible.isEmpty)
    }

    /// `--own`: names of namespaces, separated by commas.
    mutating func take(own text: ByteString) throws(Failure) {
        for name in text.parts(separatedBy: UInt8(ascii: ",")) {
            if name == "ipc" {
                namespaces.insert(.communication)
            } else if name == "net" {
                namespaces.insert(.network)
            } else if name == "pid" {
                namespaces.insert(.process)
            } else if name == "user" {
                namespaces.insert(.user)
            } else if name == "uts" {
                namespaces.insert(.hostName)
            } else {
                throw Failure("bad namespace \(name): ipc, net, pid, user or uts", exitCode: 100)
            }
        }
    }

    /// `--read-only`.
    mutating func take(readOnly text: ByteString) throws(Failure) {
        readOnly += try Sandbox.places(text)
    }

    /// `--read-write`.
    mutating func take(readWrite text: ByteString) throws(Failure) {
        readWrite += try Sandbox.places(text)
    }

    /// `--inaccessible`.
    mutating func take(inaccessible text: ByteString) throws(Failure) {
        inaccessible += try Sandbox.places(text)
    }

    /// Absolute paths, separated by commas. One with `-` before it may be missing, as in systemd's lists.
    private static func places(_ text: ByteString) throws(Failure) -> [Place] {
        var places: [Place] = []
        for word in text.parts(separatedBy: UInt8(ascii: ",")) {
            let mayBeMissing = word.hasPrefix("-")
            let path = mayBeMissing ? ByteString(word.bytes.dropFirst()) : word
            guard path.hasPrefix("/") else {
                throw Failure("bad path \(word): it must begin with a slash", exitCode: 100)
            }
            places.append(Place(path: path, mayBeMissing: mayBeMissing))
        }
        return places
    }

    /// Makes it so for this process, which needs CAP_SYS_ADMIN for it, unless it is to have users of its own. With a pid
    /// namespace it returns in a copy of this process.
    func apply() throws(Failure) {
        if isEmpty { return }
        try startNamespaces()
        if hasOwnProcesses { try goOnAmongOwnProcesses() }
        if namespaces.contains(.network) { try startLoopback() }
        if !changesMounts { return }
        do throws(SystemError) { try stopSharingMounts() } catch {
            throw error.explained("unable to make mounts private")
        }
        let current = try currentDirectory()
        try changeMounts()
        // The one that this process is in is below what has been mounted by now, and as it was.
        do throws(SystemError) { try changeDirectory(current) } catch {
            throw error.explained("unable to stay in \(current)")
        }
    }

    private func currentDirectory() throws(Failure) -> ByteString {
        do throws(SystemError) { return try CurrentProcess.directory() } catch {
            throw error.explained("unable to find the current directory")
        }
    }

    private func changeMounts() throws(Failure) {
        if hasOwnProcesses { try mountProcesses() }
        // What stays writable is copied before anything changes.
        var changes: [(place: Place, kept: DetachedPlace?)] = readOnly.map { ($0, nil) }
        for place in readWrite {
            if let detached = try detach(place, for: "read-write") {
                changes.append((place, detached))
            }
        }
        // Of two places of which one is in the other, the inner one has the last word.
        for change in changes.sorted(by: { $0.place.depth < $1.place.depth }) {
            if let kept = change.kept {
                try kept.attach([], change.place.path)
            } else {
                try protect(change.place)
            }
        }
        if hasOwnTemporaryFiles { try mountTemporaryFiles() }
        for place in inaccessible { try hide(place) }
        if hasOwnDevices { try OwnDevices().mount() }
        for place in readOnly { try check(place) }
    }

    /// Makes sure that nothing was mounted over what is to be read-only, by whichever path.
    private func check(_ place: Place) throws(Failure) {
        do throws(SystemError) { if try isReadOnly(place.path) { return } } catch {
            // What is missing or hidden by now cannot be written.
            if error.errno == .noEntry || error.errno == .accessDenied { return }
            throw error.explained("unable to make \(place.path) read-only")
        }
        throw Failure(
            "unable to make \(place.path) read-only: another option makes it writable",
            exitCode: 100)
    }

    /// Whether it is the root directory, by whichever path. What is mounted over that, this process is not in.
    private static func isRoot(_ place: borrowing Descriptor) throws(SystemError) -> Bool {
        let status = try Linux.status(of: place.number)
        if !status.isDirectory { return false }
        return try Linux.status(of: "..", in: Directory(place)).identity == status.identity
    }

    private func startNamespaces() throws(Failure) {
        let (user, group) = (CurrentProcess.effectiveUser, CurrentProcess.effectiveGroup)
        var wanted = namespaces
        if changesMounts { wanted.insert(.mount) }
        do throws(SystemError) { try CurrentProcess.startNamespaces(wanted) } catch {
            throw error.explained("unable to make namespaces\(cause(of: error))")
        }
        guard namespaces.contains(.user) else { return }
        do throws(SystemError) {
            // Without privilege a process may map only itself, and no groups.
            try Sandbox.write("deny", to: "/proc/self/setgroups")
            try Sandbox.write("\(user) \(user) 1", to: "/proc/self/uid_map")
            try Sandbox.write("\(group) \(group) 1", to: "/proc/self/gid_map")
        } catch { throw error.explained("unable to write \(error.subject)") }
    }

    private func goOnAmongOwnProcesses() throws(Failure) {
        do throws(SystemError) { try CurrentProcess.continueAmongOwnProcesses() } catch {
            throw error.explained("unable to start the processes of a pid namespace")
        }
    }

    /// Has /proc show the processes of this namespace. What an engine has put over parts of it stays there.
    private func mountProcesses() throws(Failure) {
        do throws(SystemError) {
            if try !exists("/proc/self") { return }
            var covers: [(ByteString, DetachedPlace)] = []
            // As many mounts as a system has with thousands of containers.
            let table = MountTable(try contents(of: "/proc/self/mountinfo", limit: 1 << 24))
            for path in table.places(below: "/proc") {
                covers.append((path, try DetachedPlace(path)))
            }
            try mount(
                "proc", on: "/proc", type: "proc", flags: MountFlags.noSetIDNoDevices | 0x8)
            for (path, cover) in covers { try cover.attach(at: path) }
        } catch {
            throw error.explained(
                error.errno == .notPermitted
                    ? "unable to mount an own /proc, as parts of this one are hidden"
                    : "unable to mount an own /proc\(DetachedPlace.cause(error))")
        }
    }

    /// What most likely stands in the way.
    private func cause(of error: SystemError) -> ByteString {
        let isUser = namespaces.contains(.user)
        if error.errno == .notPermitted {
            return isUser
                ? ", as user namespaces are disabled or a filter forbids them"
                : ", which needs CAP_SYS_ADMIN or --own user"
        }
        // ENOSPC: a limit of /proc/sys/user.
        if error.errno == .noSpace {
            return isUser
                ? ", as /proc/sys/user/max_user_namespaces allows none"
                : ", as a limit in /proc/sys/user is reached"
        }
        return ""
    }

    private static func write(_ text: ByteString, to path: ByteString) throws(SystemError) {
        do throws(SystemError) {
            let file = try openFile(path, .write)
            try writeAll(file.number, Array(text.bytes))
        } catch { throw SystemError(error.call, error.errno, subject: path) }
    }

    /// Brings up the interface that a new network has, and no other.
    private func startLoopback() throws(Failure) {
        do throws(SystemError) {
            let answer = try RouteSocket().ask(RouteMessage.up(interface: 1))
            if let code = RouteMessage.error(in: answer), code != 0 {
                throw SystemError("netlink", Errno(code))
            }
        } catch { throw error.explained("unable to bring up the loopback interface") }
    }

    private func protect(_ place: Place) throws(Failure) {
        do throws(SystemError) {
            let target = try openFile(place.path, .path)
            if try Sandbox.isRoot(target) { return try restrictMounts(at: target, to: .readOnly) }
        } catch {
            if error.errno == .noEntry && place.mayBeMissing { return }
            throw error.explained(
                "unable to make \(place.path) read-only\(DetachedPlace.cause(error))")
        }
        try detach(place, for: "read-only")?.attach(.readOnly, place.path)
    }

    private func detach(_ place: Place, for use: StaticString) throws(Failure) -> DetachedPlace? {
        do throws(SystemError) { return try DetachedPlace(place.path) } catch {
            if error.errno == .noEntry && place.mayBeMissing { return nil }
            throw error.explained(
                "unable to make \(place.path) \(use)\(DetachedPlace.cause(error))")
        }
    }

    private func mountTemporaryFiles() throws(Failure) {
        for path in ["/tmp", "/var/tmp"] as [ByteString] {
            do throws(SystemError) {
                if try exists(path) {
                    try mount(
                        "tmpfs", on: path, type: "tmpfs", flags: MountFlags.noSetIDNoDevices,
                        data: "mode=1777")
                }
            } catch { throw error.explained("unable to mount a new \(path)") }
        }
    }

    /// Puts an empty directory that nobody may enter over a directory, and what nobody can open over anything else.
    private func hide(_ place: Place) throws(Failure) {
        var isRoot = false
        do throws(SystemError) {
            let target = try openFile(place.path, .path)
            isRoot = try Sandbox.isRoot(target)
            if isRoot { throw SystemError("mount", .busy) }
            if try status(of: target.number).isDirectory {
                return try mount(
                    "tmpfs", on: place.path, type: "tmpfs", flags: MountFlags.nothing,
                    data: "mode=000,nr_inodes=1,size=4k")
            }
            let null = try DetachedMount(of: openFile("/dev/null", .path))
            try null.add([.readOnly, .noDevices, .noExec, .noSetID])
            try null.attach(at: target)
        } catch {
            if isRoot {
                throw Failure(
                    "unable to make \(place.path) inaccessible: it is the root directory",
                    exitCode: 100)
            }
            if error.errno == .noEntry && place.mayBeMissing { return }
            throw error.explained(
                "unable to make \(place.path) inaccessible\(DetachedPlace.cause(error))")
        }
    }
}

/// A place in the file system, and a copy of what is there.
final class DetachedPlace {
    private let mount: DetachedMount

    init(_ path: ByteString) throws(SystemError) {
        let place = try openFile(path, .path)
        mount = try DetachedMount(of: place)
    }

    /// Mounts the copy at `path`.
    func attach(at path: ByteString) throws(SystemError) {
        try mount.attach(at: openFile(path, .path))
    }

    /// Mounts the copy at `path`, where it was made, with attributes more.
    func attach(_ attributes: MountAttributes, _ path: ByteString) throws(Failure) {
        do throws(SystemError) {
            if !attributes.isEmpty { try mount.add(attributes) }
            // The name may lead into what has been mounted since.
            try attach(at: path)
        } catch { throw error.explained("unable to mount \(path)\(DetachedPlace.cause(error))") }
    }

    static func cause(_ error: SystemError) -> StaticString {
        error.errno == .noSystemCall ? ", which needs Linux 5.12" : ""
    }
}
