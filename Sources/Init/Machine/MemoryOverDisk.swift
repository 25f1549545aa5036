import Bytes
import Commands
import Linux

/// Where services write, when the root file system stays read-only: what they write is kept in memory over what is on
/// the disk, by overlayfs, and ends with the machine.
struct MemoryOverDisk {
    private let messages: Messages
    private static let place: ByteString = "/run/apus"

    init(_ messages: Messages) { self.messages = messages }

    /// Makes the directory of the services and /var writable, if the file system they are on is not.
    func perform(_ services: ByteString, _ modules: inout ModuleLoader?) {
        var covered: [ByteString] = []
        for (name, directory) in [("var", "/var"), ("services", services)]
            as [(ByteString, ByteString)]
        {
            do throws(SystemError) {
                // What is missing is nothing that could be written to.
                guard try exists(directory), try isReadOnly(directory) else { continue }
                modules?.load("overlay")
                try cover(directory, name)
                covered.append(directory)
            } catch {
                messages.warning(
                    "unable to keep in memory what is written below \(directory), which is read-only",
                    error.errno)
            }
        }
        guard !covered.isEmpty else { return }
        messages.information(
            "the root file system is read-only: what is written below \(ByteString(covered, joinedBy: " and ")) is kept in memory"
        )
    }

    private func cover(_ directory: ByteString, _ name: ByteString) throws(SystemError) {
        // They part the options of overlayfs.
        guard !directory.bytes.contains(where: { byte in ",:\\".utf8.contains(byte) }) else {
            throw SystemError("mount", .invalid, subject: directory)
        }
        let original = try status(of: directory)
        let changes: ByteString = "\(MemoryOverDisk.place)/\(name)"
        for path in [MemoryOverDisk.place, changes, "\(changes)/new", "\(changes)/work"] {
            do throws(SystemError) { try makeDirectory(path, permissions: 0o755) } catch {
                if error.errno != .exists { throw error }
            }
        }
        // Owner and permissions of what can be seen are those of the part in memory.
        try setOwner(of: "\(changes)/new", user: original.user, group: original.group)
        try setPermissions(of: "\(changes)/new", original.mode & 0o7777)
        try mount(
            "overlay", on: directory, type: "overlay",
            data: "lowerdir=\(directory),upperdir=\(changes)/new,workdir=\(changes)/work")
    }
}
