import Bytes
import CLinux

/// A control group of version 2: processes that can be found, counted and killed together, whatever they do to their
/// sessions and parents. It is a path and nothing that is open, and does not go away with this value. Everything here
/// may fail, as where the kernel has no such groups or shows them read-only. cgroups(7).
public struct ControlGroup: Equatable, Sendable {
    /// Where it is.
    public let path: ByteString

    /// The group at a path.
    public init(_ path: ByteString) { self.path = path }

    /// The most descendants of a group that are looked into.
    private static let mostGroups = 1000
    /// The most bytes that are read of a list of processes.
    private static let longestList = 1 << 20

    // MARK: - Making and removing

    /// Whether a group can be made in this one, as far as permissions and the mount tell. faccessat(2).
    public var takesGroups: Bool {
        do throws(SystemError) {
            _ = try Kernel.call("faccessat", path) {
                path.withCString { faccessat(AT_FDCWD, $0, W_OK | X_OK, AT_EACCESS) }
            }
            return true
        } catch { return false }
    }

    /// Makes a group in this one, by a name that stands for `name`; one that is there already is taken. mkdir(2).
    public func makeGroup(_ name: ByteString) throws(SystemError) -> ControlGroup {
        let group = ControlGroup("\(path)/\(ControlGroup.fileName(for: name))")
        do throws(SystemError) { try makeDirectory(group.path, permissions: 0o755) } catch {
            if error.errno != .exists { throw error }
        }
        return group
    }

    /// A name for a directory of cgroupfs, the same for the same `name`: none of the kernel's own files, which all have
    /// a dot within, without bytes that would spoil the lines of /proc/PID/cgroup, and at most 200 long.
    static func fileName(for name: ByteString) -> ByteString {
        var text = [UInt8]("service-")
        for byte in name.bytes.prefix(120) {
            // Visible ASCII but the separator of paths and what stands for the others here.
            if 0x21...0x7e ~= byte && byte != UInt8(ascii: "/") && byte != UInt8(ascii: "%") {
                text.append(byte)
            } else {
                text.append(UInt8(ascii: "%"))
                appendHexadecimal(byte, width: 2, to: &text)
            }
        }
        if name.count > 120 || text.count > 180 {
            // FNV-1a of 64 bits: what was cut off makes a difference too.
            let hash = name.bytes.reduce(0xcbf2_9ce4_8422_2325 as UInt64) {
                ($0 ^ UInt64($1)) &* 0x100_0000_01b3
            }
            text = Array(text.prefix(180))
            text.append(UInt8(ascii: "%"))
            appendHexadecimal(hash, width: 16, to: &text)
        }
        return ByteString(text)
    }

    /// Removes it and the groups in it; throws EBUSY while a process is in one of them. rmdir(2).
    public func remove() throws(SystemError) {
        for group in groups().reversed() { try removeDirectory(group.path) }
    }

    /// The group in which `makeGroup` made this one, as its name tells; nil for one that others made.
    var maker: ControlGroup? {
        guard let slash = path.bytes.lastIndex(of: UInt8(ascii: "/")), slash > 0,
            ByteString(path.bytes[(slash + 1)...]).hasPrefix(ControlGroup.fileName(for: ""))
        else { return nil }
        return ControlGroup(ByteString(path.bytes[..<slash]))
    }

    /// Removes those groups in it whose names begin as `makeGroup` begins them for `prefix`, with the groups in them, where
    /// there is no process.
    public func removeIdleGroups(_ prefix: ByteString) {
        let start = ControlGroup.fileName(for: prefix)
        var names: [ByteString] = []
        do throws(SystemError) {
            try forEachEntry(of: path) { name, isDirectory in
                if isDirectory == true && name.hasPrefix(start) { names.append(name) }
            }
        } catch {}
        for name in names.prefix(ControlGroup.mostGroups) {
            let group = ControlGroup("\(path)/\(name)")
            do throws(SystemError) { try removeDirectory(group.path) } catch {
                // One in use stays.
                do throws(SystemError) {
                    if try !group.isPopulated() { try group.remove() }
                } catch {}
            }
        }
    }

    /// It and the groups in it, each before those within; not all of them if there are too many.
    private func groups() -> [ControlGroup] {
        var found = [self]
        var next = 0
        while next < found.count, found.count < ControlGroup.mostGroups {
            let group = found[next]
            next += 1
            var names: [ByteString] = []
            // One that is gone has none.
            do throws(SystemError) {
                try forEachEntry(of: group.path) { name, isDirectory in
                    if isDirectory == true { names.append(name) }
                }
            } catch {}
            found += names.prefix(ControlGroup.mostGroups - found.count).map {
                ControlGroup("\(group.path)/\($0)")
            }
        }
        return found
    }

    // MARK: - Processes

    /// A descriptor of the group, with which a process can be started in it. clone3(2) CLONE_INTO_CGROUP.
    public func open() throws(SystemError) -> Descriptor { try openFile(path, .place) }

    /// Moves a process into it; 0 is this one.
    public func add(_ pid: ProcessID) throws(SystemError) {
        try write("\(pid)", to: "cgroup.procs")
    }

    /// Makes a controller, such as `memory`, available to the groups in this one; where that takes it, to this one as
    /// well, if `makeGroup` made it. Throws EBUSY while this one has processes itself, and ENOENT without the controller.
    public func enable(_ controller: ByteString) throws(SystemError) {
        do throws(SystemError) { try write("+\(controller)", to: "cgroup.subtree_control") } catch {
            guard error.errno == .noEntry, let maker else { throw error }
            // What keeps it from the group above is of no interest here.
            do throws(SystemError) { try maker.enable(controller) } catch {
                throw SystemError("write", .noEntry, subject: path)
            }
            try write("+\(controller)", to: "cgroup.subtree_control")
        }
    }

    /// Whether controllers are available to the groups in it, so that the kernel lets no process enter it itself, unless
    /// it is the first of all groups.
    public func hasControllersBelow() throws(SystemError) -> Bool {
        try !contents(of: "\(path)/cgroup.subtree_control", limit: 4096).isEmpty
    }

    /// Writes a limit to one of its files.
    public func set(_ file: ByteString, _ value: ByteString) throws(SystemError) {
        try write(value, to: file)
    }

    /// The processes in it and in the groups in it, at most `limit`; without those that this pid namespace does not
    /// show.
    public func processes(limit: Int = 100_000) -> [ProcessID] {
        var found: [ProcessID] = []
        for group in groups() where found.count < limit {
            // It may be gone, or of threads only, which are listed above it.
            do throws(SystemError) {
                let file = try openFile("\(group.path)/cgroup.procs", .read)
                let list = try start(of: file.number, limit: ControlGroup.longestList)
                for line in list.split(separator: UInt8(ascii: "\n")) {
                    let pid = ProcessID(truncatingIfNeeded: scanDecimal(line).value)
                    if pid > 0 && found.count < limit { found.append(pid) }
                }
            } catch {}
        }
        return found
    }

    /// Kills all processes in it and in the groups in it. Where the kernel does not do that at once, before Linux 5.14,
    /// it takes several rounds; false when there were still some after the last.
    @discardableResult
    public func kill() throws(SystemError) -> Bool {
        do throws(SystemError) {
            try write("1", to: "cgroup.kill")
            return true
        } catch {
            if error.errno != .noEntry { throw error }
        }
        // Frozen ones make no more of them, and can be killed.
        do throws(SystemError) { try write("1", to: "cgroup.freeze") } catch {}
        for _ in 0..<10 {
            let victims = processes()
            if victims.isEmpty { return true }
            for pid in victims {
                do throws(SystemError) { try send(.kill, to: pid) } catch {
                    if error.errno != .noProcess { throw error }
                }
            }
        }
        return processes(limit: 1).isEmpty
    }

    /// Sends a signal to each process in it.
    public func signal(_ signal: Signal) throws(SystemError) {
        for pid in processes() {
            do throws(SystemError) { try send(signal, to: pid) } catch {
                if error.errno != .noProcess { throw error }
            }
        }
    }

    // MARK: - Events

    /// Whether there is a process in it or in one of the groups in it.
    public func isPopulated() throws(SystemError) -> Bool {
        try value(of: "populated", in: "cgroup.events") == 1
    }

    /// How many processes of it the kernel has killed for lack of memory; nil where memory is not controlled.
    public func outOfMemoryKills() throws(SystemError) -> Int? {
        do throws(SystemError) { return try value(of: "oom_kill", in: "memory.events") } catch {
            if error.errno == .noEntry { return nil }
            throw error
        }
    }

    /// A descriptor that an `EventLoop` finds exceptional when `isPopulated` may have changed.
    public func openEvents() throws(SystemError) -> Descriptor {
        try openFile("\(path)/cgroup.events", .read)
    }

    private func value(of key: StaticString, in file: ByteString) throws(SystemError) -> Int? {
        ControlGroup.value(of: key, in: try contents(of: "\(path)/\(file)", limit: 4096))
    }

    /// The number in the line `KEY NUMBER`.
    static func value(of key: StaticString, in content: [UInt8]) -> Int? {
        for line in content.split(separator: UInt8(ascii: "\n")) {
            let words = line.split(separator: UInt8(ascii: " "))
            if words.count == 2, words[0].isSpelled(key) {
                return parseDecimal(ByteString(words[1]), within: 0...Int.max)
            }
        }
        return nil
    }

    private func write(_ text: ByteString, to name: ByteString) throws(SystemError) {
        let place: ByteString = "\(path)/\(name)"
        let file = try openFile(place, OpenMode(flags: O_WRONLY))
        do throws(SystemError) { try writeAll(file.number, Array(text.bytes)) } catch {
            throw SystemError("write", error.errno, subject: place)
        }
    }
}

/// What can be read from `descriptor`, the first `limit` bytes of it.
private func start(of descriptor: Int32, limit: Int) throws(SystemError) -> [UInt8] {
    var bytes: [UInt8] = []
    var block = [UInt8](repeating: 0, count: 4096)
    while bytes.count < limit {
        let count = try block.withUnsafeMutableBufferPointer {
            (block) throws(SystemError) -> Int in
            try read(descriptor, into: UnsafeMutableRawBufferPointer(block))
        }
        if count == 0 { break }
        bytes += block[..<count]
    }
    return bytes
}
