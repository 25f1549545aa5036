import Bytes
import CLinux

/// Where relative paths start: an open directory, or the current one.
public struct Directory {
    /// The number the *at calls take.
    public let number: Int32

    /// The process's current directory.
    public static var current: Directory { Directory(number: AT_FDCWD) }

    /// The directory open as `descriptor`, which must stay open while this is used.
    public init(_ descriptor: borrowing Descriptor) { number = descriptor.number }

    private init(number: Int32) { self.number = number }

    /// Whether it is the process's current directory, whichever that is.
    public var isCurrent: Bool { number == AT_FDCWD }
}

/// How `openFile` opens, as open(2) has it. Close-on-exec is always added.
public struct OpenMode: Sendable {
    let flags: Int32
    let permissions: UInt32

    /// Any flags of open(2), with the permissions of a file it creates.
    public init(flags: Int32, permissions: UInt32 = 0) {
        self.flags = flags
        self.permissions = permissions
    }

    /// For reading, without waiting for a FIFO's writer.
    public static let read = OpenMode(flags: O_RDONLY | O_NONBLOCK)
    /// For writing, without waiting for a FIFO's reader (ENXIO when there is none).
    public static let write = OpenMode(flags: O_WRONLY | O_NONBLOCK)
    /// For both; on a FIFO this never meets end of file.
    public static let readWrite = OpenMode(flags: O_RDWR | O_NONBLOCK)
    /// For writing at the end, created 0600.
    public static let append = OpenMode(
        flags: O_WRONLY | O_APPEND | O_CREAT | O_NONBLOCK, permissions: 0o600)
    /// For writing from the start, emptied, created 0644.
    public static let truncate = OpenMode(
        flags: O_WRONLY | O_TRUNC | O_CREAT | O_NONBLOCK, permissions: 0o644)
    /// For writing, created 0644; throws EEXIST when there is something by that name, a link too.
    public static let createNew = OpenMode(
        flags: O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, permissions: 0o644)
    /// A directory, for reading its entries.
    public static let directory = OpenMode(flags: O_RDONLY | O_DIRECTORY)
    /// Whatever it is, only as a name for it.
    public static let path = OpenMode(flags: O_PATH)
    /// A directory, only as a place for relative paths.
    public static let place = OpenMode(flags: O_PATH | O_DIRECTORY)

    /// For appending to a file that is not there yet, created 0644; else like `createNew`.
    public static let createAppending = OpenMode(
        flags: O_WRONLY | O_APPEND | O_CREAT | O_EXCL | O_NONBLOCK, permissions: 0o644)

    /// For writing at the end of what is there.
    public static let appendExisting = OpenMode(flags: O_WRONLY | O_APPEND | O_NONBLOCK)
    /// For writing from the start, emptied, created 0600.
    public static let secret = OpenMode(
        flags: O_WRONLY | O_TRUNC | O_CREAT | O_NOFOLLOW, permissions: 0o600)
    /// A terminal for both, without making it the controlling one.
    public static let terminal = OpenMode(flags: O_RDWR | O_NOCTTY)
    /// A terminal for writing what there is room for.
    public static let terminalWithoutWaiting = OpenMode(flags: O_WRONLY | O_NOCTTY | O_NONBLOCK)

    /// The same, but a symbolic link as the last component throws ELOOP, or ENOTDIR where a directory
    /// is asked for. O_NOFOLLOW.
    public var notFollowing: OpenMode {
        OpenMode(flags: flags | O_NOFOLLOW, permissions: permissions)
    }
}

/// What stat(2) tells of a file, as far as programs here ask.
public struct FileStatus: Equatable, Sendable {
    /// Device and inode: what the file is, whatever its name.
    public struct Identity: Hashable, Sendable {
        /// Device number.
        public let device: UInt64
        /// Inode number.
        public let inode: UInt64

        /// The file with that inode on that device.
        public init(device: UInt64, inode: UInt64) {
            self.device = device
            self.inode = inode
        }
    }

    /// Which file it is.
    public let identity: Identity
    /// Length in bytes.
    public let size: Int
    /// Number of names.
    public let links: Int
    /// Type and permissions.
    public let mode: UInt32
    /// When anything in it or about it last changed: nanoseconds since 1970.
    public let changed: Int64
    /// Owning user.
    public let user: UInt32
    /// Owning group.
    public let group: UInt32

    /// Whether it is a directory.
    public var isDirectory: Bool { mode & UInt32(S_IFMT) == UInt32(S_IFDIR) }
    /// Whether it is a FIFO.
    public var isFIFO: Bool { mode & UInt32(S_IFMT) == UInt32(S_IFIFO) }
    /// Whether it is an ordinary file.
    public var isRegular: Bool { mode & UInt32(S_IFMT) == UInt32(S_IFREG) }
    /// Whether running it changes the user or the group.
    public var changesIdentity: Bool { mode & UInt32(S_ISUID | S_ISGID) != 0 }
    /// Whether it is a device such as a terminal.
    public var isCharacterDevice: Bool { mode & UInt32(S_IFMT) == UInt32(S_IFCHR) }
    /// Whether it is a symbolic link.
    public var isLink: Bool { mode & UInt32(S_IFMT) == UInt32(S_IFLNK) }
    /// Whether any further change would be told from this state: the kernel's clock for files moves on
    /// in steps of some milliseconds. `now` is the time of day.
    public func isSettled(at now: (seconds: Int64, nanoseconds: UInt32)) -> Bool {
        now.seconds * 1_000_000_000 + Int64(now.nanoseconds) - changed > 50_000_000
    }

    /// Whether nobody but root and this process's effective user could have written it.
    public var isOwn: Bool {
        (user == 0 || user == CurrentProcess.effectiveUser) && mode & 0o022 == 0
    }

    /// Whether it is a socket.
    public var isSocket: Bool { mode & UInt32(S_IFMT) == UInt32(S_IFSOCK) }

    init(_ status: cl_status) {
        identity = Identity(device: status.device, inode: status.inode)
        size = Int(status.size)
        links = Int(status.links)
        mode = status.mode
        user = status.user
        group = status.group
        changed = status.changed
    }
}

/// Opens a file. openat(2).
public func openFile(
    _ path: ByteString, _ mode: OpenMode, in directory: Directory = .current
) throws(SystemError) -> Descriptor {
    Descriptor(
        owning: try Kernel.call("open", path) {
            path.withCString {
                cl_openat(directory.number, $0, mode.flags | O_CLOEXEC, mode.permissions)
            }
        })
}

/// What `path` names, following links. fstatat(2).
public func status(
    of path: ByteString, in directory: Directory = .current, followLinks: Bool = true
) throws(SystemError) -> FileStatus {
    var status = cl_status()
    _ = try Kernel.call("stat", path) {
        path.withCString {
            cl_fstatat(directory.number, $0, &status, followLinks ? 0 : AT_SYMLINK_NOFOLLOW)
        }
    }
    return FileStatus(status)
}

/// What is open as `descriptor`. fstat(2).
public func status(of descriptor: Int32) throws(SystemError) -> FileStatus {
    var status = cl_status()
    _ = try Kernel.call("fstat") { cl_fstat(descriptor, &status) }
    return FileStatus(status)
}

/// Opens a regular file; anything else throws `Errno.notRegular`, and a link `Errno.symbolicLink`.
public func openRegularFile(
    _ path: ByteString, _ mode: OpenMode, in directory: Directory = .current
) throws(SystemError) -> Descriptor {
    let file = try openNotFollowing(path, mode, in: directory)
    if try !status(of: file.number).isRegular {
        throw SystemError("open", .notRegular, subject: path)
    }
    return file
}

/// Opens a FIFO without waiting for its other end; anything else throws `Errno.notFIFO`, and a link
/// `Errno.symbolicLink`.
public func openFIFO(
    _ path: ByteString, _ mode: OpenMode, in directory: Directory = .current
) throws(SystemError) -> Descriptor {
    let file = try openNotFollowing(path, mode, in: directory)
    if try !status(of: file.number).isFIFO {
        throw SystemError("open", .notFIFO, subject: path)
    }
    return file
}

private func openNotFollowing(_ path: ByteString, _ mode: OpenMode, in directory: Directory)
    throws(SystemError) -> Descriptor
{
    do throws(SystemError) { return try openFile(path, mode.notFollowing, in: directory) } catch {
        // What open(2) says of a link; another ELOOP is not possible for a single name.
        let cause = error.errno == .linkLoop ? Errno.symbolicLink : error.errno
        throw SystemError(error.call, cause, subject: path)
    }
}

/// Whether `path` exists, following links; any error but ENOENT is thrown.
public func exists(_ path: ByteString, in directory: Directory = .current) throws(SystemError)
    -> Bool
{
    do {
        _ = try status(of: path, in: directory)
        return true
    } catch {
        if error.errno == .noEntry { return false }
        throw error
    }
}

/// Makes a directory. mkdirat(2).
public func makeDirectory(
    _ path: ByteString, permissions: UInt32, in directory: Directory = .current
) throws(SystemError) {
    _ = try Kernel.call("mkdir", path) {
        path.withCString { mkdirat(directory.number, $0, permissions) }
    }
}

/// Makes a FIFO. mkfifoat(3).
public func makeFIFO(
    _ path: ByteString, permissions: UInt32, in directory: Directory = .current
) throws(SystemError) {
    _ = try Kernel.call("mkfifo", path) {
        path.withCString { mkfifoat(directory.number, $0, permissions) }
    }
}

/// Renames, replacing what has the new name. renameat(2).
public func rename(
    _ path: ByteString, to newPath: ByteString, in directory: Directory = .current
) throws(SystemError) {
    _ = try Kernel.call("rename", path) {
        path.withCString { old in
            newPath.withCString { renameat(directory.number, old, directory.number, $0) }
        }
    }
}

/// Gives a file a second name. linkat(2).
public func link(
    _ path: ByteString, to newPath: ByteString, in directory: Directory = .current
) throws(SystemError) {
    _ = try Kernel.call("link", path) {
        path.withCString { old in
            newPath.withCString { linkat(directory.number, old, directory.number, $0, 0) }
        }
    }
}

/// Removes a name. unlinkat(2).
public func removeFile(_ path: ByteString, in directory: Directory = .current)
    throws(SystemError)
{
    _ = try Kernel.call("unlink", path) { path.withCString { unlinkat(directory.number, $0, 0) } }
}

/// Removes an empty directory. unlinkat(2) AT_REMOVEDIR.
public func removeDirectory(_ path: ByteString, in directory: Directory = .current)
    throws(SystemError)
{
    _ = try Kernel.call("rmdir", path) {
        path.withCString { unlinkat(directory.number, $0, AT_REMOVEDIR) }
    }
}

/// Sets permissions. fchmod(2).
public func setPermissions(_ descriptor: borrowing Descriptor, _ permissions: UInt32)
    throws(SystemError)
{
    let number = descriptor.number
    _ = try Kernel.call("fchmod") { fchmod(number, permissions) }
}

/// Sets user and group; nil leaves either as it is. fchown(2).
public func setOwner(_ descriptor: borrowing Descriptor, user: UInt32?, group: UInt32?)
    throws(SystemError)
{
    let number = descriptor.number
    _ = try Kernel.call("fchown") { fchown(number, user ?? .max, group ?? .max) }
}

/// Sets permissions by name. fchmodat(2).
public func setPermissions(
    of path: ByteString, _ permissions: UInt32, in directory: Directory = .current
) throws(SystemError) {
    _ = try Kernel.call("chmod", path) {
        path.withCString { fchmodat(directory.number, $0, permissions, 0) }
    }
}

/// Writes a file's data and size to disk. fsync(2).
public func synchronize(_ descriptor: borrowing Descriptor) throws(SystemError) {
    let number = descriptor.number
    _ = try Kernel.call("fsync") { fsync(number) }
}

/// Takes the exclusive lock on a file, as daemontools and flock(1) do: flock(2), not fcntl(2).
/// Without `wait` it throws EAGAIN when somebody else has it.
public func lock(_ descriptor: borrowing Descriptor, wait: Bool) throws(SystemError) {
    let number = descriptor.number
    _ = try Kernel.call("flock") { flock(number, LOCK_EX | (wait ? 0 : LOCK_NB)) }
}

/// Sets or clears O_NONBLOCK on an open file, for everyone who has it open. fcntl(2).
public func setNonBlocking(_ descriptor: Int32, _ on: Bool) throws(SystemError) {
    let flags = try Kernel.call("fcntl") { cl_fcntl(descriptor, F_GETFL, 0) }
    let wanted = on ? flags | O_NONBLOCK : flags & ~O_NONBLOCK
    _ = try Kernel.call("fcntl") { cl_fcntl(descriptor, F_SETFL, wanted) }
}

/// Moves the offset of an open file to `offset` bytes from its start. lseek(2).
public func seek(_ descriptor: borrowing Descriptor, to offset: Int) throws(SystemError) {
    let number = descriptor.number
    _ = try Kernel.call("lseek") { lseek(number, offset, SEEK_SET) }
}

/// Changes the current directory. chdir(2).
public func changeDirectory(_ path: ByteString) throws(SystemError) {
    _ = try Kernel.call("chdir", path) { path.withCString { chdir($0) } }
}

/// Changes the current directory to an open one. fchdir(2).
public func changeDirectory(to directory: borrowing Descriptor) throws(SystemError) {
    let number = directory.number
    _ = try Kernel.call("fchdir") { fchdir(number) }
}

/// The names in a directory but `.` and `..`, in the kernel's order. `path` is opened anew.
public func entries(of path: ByteString, in directory: Directory = .current)
    throws(SystemError) -> [ByteString]
{
    var names: [ByteString] = []
    try forEachEntry(of: path, in: directory) { name, _ in names.append(name) }
    return names
}

/// Calls `body` with each name in a directory but `.` and `..`, in the kernel's order, and whether it is
/// a directory's, if the file system tells without being asked. `path` is opened anew. readdir(3).
public func forEachEntry(
    of path: ByteString, in directory: Directory = .current,
    _ body: (_ name: ByteString, _ isDirectory: Bool?) -> Void
) throws(SystemError) {
    let descriptor = try openFile(path, .directory, in: directory).release()
    guard let stream = fdopendir(descriptor) else {
        let errno = Errno.last
        _ = close(descriptor)
        throw SystemError("opendir", errno, subject: path)
    }
    defer { closedir(stream) }
    while true {
        // readdir tells its end from an error by errno alone.
        cl_set_errno(0)
        guard let entry = readdir(stream) else { break }
        let name = withUnsafePointer(to: &entry.pointee.d_name) {
            $0.withMemoryRebound(to: CChar.self, capacity: 256) { ByteString(cString: $0) }
        }
        let type = Int(entry.pointee.d_type)
        if name != "." && name != ".." {
            body(name, type == Int(DT_UNKNOWN) ? nil : type == Int(DT_DIR))
        }
    }
    if Errno.last != Errno(0) { throw SystemError("readdir", .last, subject: path) }
}

/// The whole content of a file of at most `limit` bytes; a longer one throws EFBIG.
public func contents(of path: ByteString, limit: Int, in directory: Directory = .current)
    throws(SystemError) -> [UInt8]
{
    let file = try openFile(path, .read, in: directory)
    do throws(SystemError) { return try contents(of: file.number, limit: limit) } catch {
        throw SystemError("read", error.errno, subject: path)
    }
}

/// All that can be read from `descriptor`, at most `limit` bytes; more throws EFBIG.
public func contents(of descriptor: Int32, limit: Int) throws(SystemError) -> [UInt8] {
    var bytes: [UInt8] = []
    // Most files are small, and what is no larger than this is on the stack.
    var size = 1024
    while true {
        let count = try withUnsafeTemporaryAllocation(byteCount: min(limit + 1, size), alignment: 1)
        { (block) throws(SystemError) -> Int in
            let count = try read(descriptor, into: block)
            bytes.append(contentsOf: block[..<count])
            return count
        }
        if count == 0 { return bytes }
        if bytes.count > limit { throw SystemError("read", .fileTooBig) }
        if count == size { size = 16384 }
    }
}

/// A file without a name, in memory only, whose size may be fixed for good if it `canBeSealed`. memfd_create(2).
public func makeMemoryFile(_ name: ByteString, canBeSealed: Bool = false) throws(SystemError)
    -> Descriptor
{
    Descriptor(
        owning: try Kernel.call("memfd_create") {
            name.withCString {
                memfd_create(
                    $0, UInt32(MFD_CLOEXEC) | (canBeSealed ? UInt32(MFD_ALLOW_SEALING) : 0))
            }
        })
}
