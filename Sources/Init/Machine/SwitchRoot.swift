import Bytes
import Commands
import Formats
import Linux

/// From an initial root in memory to the one that the kernel's command line names.
struct SwitchRoot {
    private let commandLine: KernelCommandLine
    private let messages: Messages
    private static let place: ByteString = "/sysroot"

    init(_ commandLine: KernelCommandLine, _ messages: Messages) {
        self.commandLine = commandLine
        self.messages = messages
    }

    /// Mounts the root, moves there, and becomes its init. Returns only when that is impossible: why.
    func perform(_ root: ByteString, _ modules: inout ModuleLoader?, _ environment: Environment)
        -> ByteString
    {
        // rootwait waits without an end, as the kernel does.
        let patience: UInt64 = commandLine.has("rootwait") ? 3_600_000 : 10_000
        guard let device = Volumes.await(root, milliseconds: patience) else {
            return "there is no \(root.excerpt)"
        }
        let type = commandLine["rootfstype"] ?? Volumes.identity(of: device)?.type ?? "ext4"
        let options = MountOptions(commandLine["rootflags"] ?? "")
        var flags = options.flags
        if commandLine.words.last(where: { $0.name == "ro" || $0.name == "rw" })?.name != "rw" {
            flags.insert(.readOnly)
        }
        do throws(SystemError) {
            do throws(SystemError) { try makeDirectory(SwitchRoot.place, permissions: 0o755) } catch
            {
                if error.errno != .exists { throw error }
            }
            modules?.load("fs-\(type)")
            try mount(
                device, on: SwitchRoot.place, type: type, flags: flags.rawValue, data: options.data)
        } catch {
            return
                "unable to mount \(device.excerpt) as \(type.excerpt): \(ByteString(error.errno.text))"
        }
        return enter(environment)
    }

    private func enter(_ environment: Environment) -> ByteString {
        let program = commandLine["init"] ?? "/sbin/init"
        do throws(SystemError) {
            // Before anything is taken away here. Where a link leads is known only over there.
            _ = try status(of: "\(SwitchRoot.place)\(program)", followLinks: false)
            // What is mounted goes with us; a root without the place for it gets its own.
            for name in ["/dev", "/proc", "/sys", "/run"] as [ByteString] {
                do throws(SystemError) {
                    try mount(
                        name, on: "\(SwitchRoot.place)\(name)",
                        flags: MountOptions.Flags.move.rawValue)
                } catch {
                    messages.warning("unable to move \(name) to the root file system", error.errno)
                }
            }
            removeOldFiles("/", device: try status(of: "/").identity.device)
            try changeDirectory(SwitchRoot.place)
            try mount(".", on: "/", flags: MountOptions.Flags.move.rawValue)
            try CurrentProcess.makeRootOfCurrentDirectory()
            try changeDirectory("/")
            try Invocation(command: [program], environment: environment).execute()
        } catch { return "unable to run \(program.excerpt): \(ByteString(error.errno.text))" }
    }

    /// Gives back the memory of the initial root, and touches nothing that is mounted in it.
    private func removeOldFiles(_ directory: ByteString, device: UInt64) {
        for name in SmallFiles.all(in: directory) {
            let path: ByteString = directory == "/" ? "/\(name)" : "\(directory)/\(name)"
            do throws(SystemError) {
                let status = try status(of: path, followLinks: false)
                if status.identity.device != device { continue }
                if status.isDirectory {
                    removeOldFiles(path, device: device)
                    try removeDirectory(path)
                } else {
                    try removeFile(path)
                }
            } catch {
                // Something is mounted below; the rest goes all the same.
            }
        }
    }
}

extension SmallFiles {
    /// Every name in a directory.
    static func all(in directory: ByteString) -> [ByteString] {
        do throws(SystemError) { return try entries(of: directory) } catch { return [] }
    }
}
