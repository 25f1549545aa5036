import Bytes

/// Where a service directory's `supervise` is when it cannot be in the directory itself: because the file system is
/// read-only or knows no FIFOs, or because the directory is another user's. Supervisors and their clients decide it
/// here, from the same facts:
///
///     $SVSTATE, if that is set, else
///     /run/apus, $XDG_RUNTIME_DIR/apus, /tmp/apus-UID, /dev/shm/apus-UID: the first that can be made, and is safe
///
/// The last one can be written to where an engine makes all else read-only.
///
/// There `DEVICE-INODE` stands for the service directory, as `stat -Lc %d-%i DIRECTORY` prints it: a name that needs
/// no /proc, is the same by every path, and survives that the directory is renamed.
public struct StatePlaces: Equatable, Sendable {
    /// Absolute paths, in the order in which they are tried.
    public let candidates: [ByteString]
    /// Whose directories are believed: root's, the process's own user's, and for a client the user's of process 1, who
    /// is the supervisor of a container that is looked at from outside.
    public let owners: [UInt32]
    /// The user that makes directories.
    public let user: UInt32
    /// How `supervise` is called in service directories, or, with a slash at its beginning, where the directories are
    /// that stand for them: daemontools-encore's SUPERVISEDIR.
    private let superviseName: ByteString

    /// The places for a process of `user` with these values of SVSTATE and XDG_RUNTIME_DIR. `processOne` is the user
    /// of process 1, for a client that can tell. A path that is not absolute means nothing. `supervise` is the value of
    /// SUPERVISEDIR.
    public init(
        chosen: ByteString?, runtimeDirectory: ByteString?, user: UInt32, processOne: UInt32? = nil,
        supervise: ByteString? = nil
    ) {
        self.user = user
        superviseName = supervise.flatMap { $0.isEmpty ? nil : $0 } ?? "supervise"
        var owners = [user]
        for other in [0, processOne ?? user] where !owners.contains(other) { owners.append(other) }
        self.owners = owners
        if let chosen, chosen.hasPrefix("/") {
            candidates = [chosen]
            return
        }
        var candidates: [ByteString] = ["/run/apus"]
        if let runtimeDirectory, runtimeDirectory.hasPrefix("/") {
            candidates.append("\(runtimeDirectory)/apus")
        }
        for parent in ["/tmp", "/dev/shm"] as [ByteString] {
            candidates.append("\(parent)/apus-\(user)")
            if let processOne, processOne != user {
                candidates.append("\(parent)/apus-\(processOne)")
            }
        }
        self.candidates = candidates
    }

    /// Whether where `supervise` is depends on the path of the service directory.
    public var dependOnPath: Bool { superviseName.hasPrefix("/") }

    /// Where `supervise` is, seen from the service directory at `path`, which is absolute: under a name that has colons for
    /// the slashes of the path, as daemontools-encore has it, if it is in a directory for all.
    public func supervise(of path: ByteString) -> ByteString {
        guard dependOnPath else { return superviseName }
        let slash = UInt8(ascii: "/")
        let name = path.bytes.drop { $0 == slash }.map { $0 == slash ? UInt8(ascii: ":") : $0 }
        return "\(superviseName)/\(ByteString(name))"
    }

    /// The name of the directory with this device and inode.
    public static func name(device: UInt64, inode: UInt64) -> ByteString { "\(device)-\(inode)" }

    /// Whether a directory of `owner` with these permissions may hold state: nobody may rename in it what a believed
    /// user made. Who finds one made by others goes on to the next candidate.
    public func trusts(owner: UInt32, permissions: UInt32) -> Bool {
        owners.contains(owner) && (permissions & 0o022 == 0 || permissions & 0o1000 != 0)
    }
}

extension StatePlaces {
    /// What somebody who looks for a supervisor found in one place.
    public enum Finding: Equatable, Sendable {
        /// It is there.
        case supervised
        /// There are its files, but nobody reads what is written to them.
        case unsupervised
        /// There is nothing.
        case absent
        /// That cannot be told.
        case unknown
    }

    /// Which of these findings, the service directory's own first, is the one to go by: a supervisor, if there is one
    /// anywhere; else the service directory's own, unless that tells less than another, which may be one that is not for
    /// everybody to look into.
    public static func choice(among findings: [Finding]) -> Int {
        for wanted in [Finding.supervised, .unsupervised, .unknown] {
            if let index = findings.firstIndex(of: wanted) { return index }
        }
        return 0
    }
}
