import Bytes
import CLinux

/// Opens `path` as `openFile` does, but follows a symbolic link only if root or this process's effective
/// user made it. A link that another user made is followed only to something of his own: what stands at
/// the end must belong to him, so that he gains nothing by it. Anything else throws
/// `Errno.foreignLink`. The rule holds for every component of the path and for links that links lead to.
///
/// With `makingDirectory`, a last component that does not exist is made as a directory with these
/// permissions; where a link of root or of this user leads to it, only if `alsoBehindLink`, and then with what is
/// missing above it.
public func openTrusted(
    _ path: ByteString, _ mode: OpenMode, in directory: Directory = .current,
    makingDirectory permissions: UInt32? = nil, alsoBehindLink: Bool = false
) throws(SystemError) -> Descriptor {
    var walk = TrustedWalk(path, mode, in: directory, makingDirectory: permissions)
    walk.makesBehindLink = alsoBehindLink
    do throws(SystemError) { return try walk.open() } catch {
        throw SystemError(error.call, error.errno, subject: path)
    }
}

/// A look-up of a path, component by component, as the kernel does it, with a look at each link.
private struct TrustedWalk: ~Copyable {
    private let mode: OpenMode
    private let permissions: UInt32?
    private let start: Directory
    /// The directory reached; nil while it is `start`.
    private var place: Descriptor?
    /// The components still to come, the next one last.
    private var rest: [ByteString]
    /// As many as the kernel follows, path_resolution(7).
    private var linksLeft = 40
    /// Whether a directory is made also where the last component of the path is a link.
    var makesBehindLink = false
    /// Whether it is one.
    private var isBehindLink = false
    /// Who else made a link on the way.
    private var stranger: UInt32?

    init(
        _ path: ByteString, _ mode: OpenMode, in directory: Directory,
        makingDirectory permissions: UInt32?
    ) {
        self.mode = mode
        self.permissions = permissions
        start = directory
        rest = []
        if !path.isEmpty { rest = TrustedWalk.components(of: path) }
        if path.hasPrefix("/") { rest.append("/") }
    }

    mutating func open() throws(SystemError) -> Descriptor {
        while let name = rest.popLast() {
            let opened: Descriptor
            do throws(SystemError) { opened = try openComponent(name) } catch {
                // With O_NOFOLLOW, what open(2) says of a link. O_DIRECTORY makes it ENOTDIR.
                guard error.errno == .linkLoop || error.errno == .notDirectory else { throw error }
                guard let followed = try follow(name, or: error) else { continue }
                opened = followed
            }
            if rest.isEmpty {
                if let stranger, try status(of: opened.number).user != stranger {
                    throw SystemError("open", .foreignLink)
                }
                return opened
            }
            place = consume opened
        }
        throw SystemError("open", .noEntry)
    }

    private var directory: Directory {
        switch place {
        case .some(let place): Directory(place)
        case .none: start
        }
    }

    private func openComponent(_ name: ByteString) throws(SystemError) -> Descriptor {
        let isLast = rest.isEmpty
        let mode = (isLast ? self.mode : .place).notFollowing
        do throws(SystemError) { return try openFile(name, mode, in: directory) } catch {
            let isMade = permissions != nil && (isBehindLink ? makesBehindLink : isLast)
            if !isMade || error.errno != .noEntry { throw error }
        }
        // What this user makes would not belong to whoever made the link.
        if stranger != nil { throw SystemError("mkdir", .foreignLink) }
        do throws(SystemError) {
            try makeDirectory(
                name, permissions: isLast ? permissions ?? 0 : 0o755, in: directory)
        } catch { if error.errno != .exists { throw error } }
        return try openFile(name, mode, in: directory)
    }

    /// Goes where the link `name` leads: returns what one of procfs names, which is no path, and else
    /// puts the components of its text before the others. Throws `error` when it is no link.
    private mutating func follow(_ name: ByteString, or error: SystemError) throws(SystemError)
        -> Descriptor?
    {
        let link = try openFile(name, OpenMode.path.notFollowing, in: directory)
        let status = try Linux.status(of: link.number)
        guard status.isLink else { throw error }
        if linksLeft == 0 { throw SystemError("open", .linkLoop) }
        linksLeft -= 1
        if status.user != 0 && status.user != CurrentProcess.effectiveUser {
            if let stranger, stranger != status.user { throw SystemError("open", .foreignLink) }
            stranger = status.user
        } else if try isProcess(link) {
            return try openFile(name, rest.isEmpty ? mode : .place, in: directory)
        }
        if rest.isEmpty { isBehindLink = true }
        let target = try readLink(ByteString(), in: Directory(link))
        rest += TrustedWalk.components(of: target)
        if target.hasPrefix("/") { rest.append("/") }
        return nil
    }

    /// The names in a path, the first one last; `.` when there are none.
    private static func components(of path: ByteString) -> [ByteString] {
        let names = path.parts(separatedBy: UInt8(ascii: "/")).filter { $0.count > 0 }
        return names.isEmpty ? ["."] : names.reversed()
    }
}
