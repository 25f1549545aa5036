import Bytes

extension ControlGroup {
    /// The group of this process, where it is mounted. Throws ENOENT where there is none of version 2, or none that
    /// can be seen from here.
    public static func own() throws(SystemError) -> ControlGroup {
        let groups = try contents(of: "/proc/self/cgroup", limit: 1 << 16)
        // As many mounts as a system has with thousands of containers.
        let mounts = try contents(of: "/proc/self/mountinfo", limit: 1 << 24)
        guard let group = groupPath(in: groups) else {
            throw SystemError("open", .noEntry, subject: "/proc/self/cgroup")
        }
        for mount in cgroupMounts(in: mounts) {
            guard let path = mount.path(of: group) else { continue }
            // Another mount may lie above this one.
            do throws(SystemError) {
                if try exists("\(path)/cgroup.procs") { return ControlGroup(path) }
            } catch {}
        }
        throw SystemError("open", .noEntry, subject: "cgroup2")
    }

    /// The path in the line `0::PATH` of /proc/PID/cgroup; beside it there may be lines of hierarchies of version 1.
    static func groupPath(in content: [UInt8]) -> ByteString? {
        for line in content.split(separator: UInt8(ascii: "\n")) where line.begins(with: "0::/") {
            return ByteString(line.dropFirst(3))
        }
        return nil
    }

    /// Where version 2 is mounted.
    struct Mount: Equatable {
        /// The group that is seen there, by its path.
        let root: ByteString
        /// The place.
        let point: ByteString

        /// Where a group is to be found; nil if it is not below `root`.
        func path(of group: ByteString) -> ByteString? {
            // A group above the namespace's own is shown as `/..`.
            let isOutside = group.parts(separatedBy: UInt8(ascii: "/")).contains("..")
            if isOutside || !group.hasPrefix("/") { return nil }
            if root == "/" { return group == "/" ? point : "\(point)\(group)" }
            if group == root { return point }
            return group.hasPrefix("\(root)/")
                ? "\(point)\(ByteString(group.bytes.dropFirst(root.count)))" : nil
        }
    }

    /// The mounts of version 2 in a file like /proc/PID/mountinfo: ID, parent, device, root, point, options, optional
    /// fields, a hyphen, type. proc_pid_mountinfo(5).
    static func cgroupMounts(in content: [UInt8]) -> [Mount] {
        content.split(separator: UInt8(ascii: "\n")).compactMap { line in
            // Most are something else, and to take each apart would be much of what it costs to start.
            guard line.indices.contains(where: { line[$0...].begins(with: " cgroup2 ") }) else {
                return nil
            }
            let fields = line.split(separator: UInt8(ascii: " "))
            guard fields.count > 6,
                let hyphen = fields[6...].firstIndex(where: { $0.isSpelled("-") }),
                hyphen + 1 < fields.count, fields[hyphen + 1].isSpelled("cgroup2")
            else { return nil }
            return Mount(root: unescaped(fields[3]), point: unescaped(fields[4]))
        }
    }

    /// Blanks, tabs, newlines and backslashes stand as a backslash and three octal digits.
    private static func unescaped(_ field: ArraySlice<UInt8>) -> ByteString {
        var bytes: [UInt8] = []
        var rest = field
        while let byte = rest.popFirst() {
            let digits = rest.prefix(3)
            if byte == UInt8(ascii: "\\"), digits.count == 3, digits.allSatisfy({ 48...55 ~= $0 }) {
                bytes.append(digits.reduce(0) { $0 << 3 | ($1 & 7) })
                rest = rest.dropFirst(3)
            } else {
                bytes.append(byte)
            }
        }
        return ByteString(bytes)
    }
}
