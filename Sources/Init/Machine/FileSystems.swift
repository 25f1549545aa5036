import Bytes
import Commands
import Formats
import Linux
import Services

/// Checks, mounts and swaps as /etc/fstab and the kernel's command line say.
struct FileSystems: ~Copyable {
    /// What came of it.
    enum Outcome: Equatable {
        case done
        /// People have to look: the machine cannot use its root file system, or one that it needs.
        case failed(ByteString)
        /// The machine is to go down.
        case told(Ending)
    }

    private let commandLine: KernelCommandLine
    private let environment: Environment
    private let messages: Messages
    private let table: FileSystemTable
    /// How long a device may take to appear, in milliseconds.
    private static let patience: UInt64 = 10_000
    /// How long a check may take: a day, since to be cut off is what harms.
    private static let checkLimit: UInt64 = 86_400_000

    init(_ commandLine: KernelCommandLine, _ environment: Environment, _ messages: Messages) {
        self.commandLine = commandLine
        self.environment = environment
        self.messages = messages
        table = FileSystemTable(SmallFiles.read("/etc/fstab", messages) ?? [])
        for line in table.wrongLines {
            messages.warning("/etc/fstab: line \(line) is none of fstab(5)")
        }
    }

    /// Checks the root file system if it asks for that, and makes it writable unless it is to stay as it is.
    borrowing func prepareRoot(_ children: borrowing BootChildren) -> Outcome {
        let entry = table.entries.first { $0.isRoot }
        // What is written to is no more to be checked.
        if let device = Volumes.root, entry?.pass != 0, isRootReadOnly {
            let outcome = check([(device, entry?.type ?? "auto", "/")], children)
            if outcome != .done { return outcome }
        }
        var flags = entry?.options.flags ?? []
        if entry == nil && commandLine.keepsRootReadOnly { flags.insert(.readOnly) }
        if flags.contains(.readOnly) { return .done }
        flags.insert(.remount)
        do throws(SystemError) {
            try mount("", on: "/", flags: flags.rawValue, data: entry?.options.data ?? "")
        } catch {
            return .failed(
                "unable to make the root file system writable: \(ByteString(error.errno.text))")
        }
        return .done
    }

    private var isRootReadOnly: Bool {
        let table = MountTable(SmallFiles.read("/proc/self/mountinfo", messages) ?? [])
        return table["/"]?.isFileSystemReadOnly == true
    }

    /// Swaps, and mounts everything else; devices that need a check are checked together, by their order.
    borrowing func mountAll(_ modules: inout ModuleLoader?, _ children: borrowing BootChildren)
        -> Outcome
    {
        var trouble: Outcome?
        var ready: [(entry: FileSystemTable.Entry, device: ByteString)] = []
        let entries = table.entries.filter { !$0.isRoot && !$0.options.isNoAuto }
        // Whose controller may be any.
        if !entries.isEmpty { modules?.loadForDevices() }
        for entry in entries {
            guard let device = device(of: entry) else {
                complain("\(entry.source.excerpt) is not there", entry, &trouble)
                continue
            }
            ready.append((entry, device))
        }
        for pass in Set(ready.map { $0.entry.pass }).sorted() where pass > 0 {
            let due = ready.filter { $0.entry.pass == pass && !$0.entry.isSwap }
            let outcome = check(due.map { ($0.device, $0.entry.type, $0.entry.target) }, children)
            if case .told = outcome { return outcome }
            if outcome != .done { trouble = trouble ?? outcome }
        }
        for (entry, device) in ready {
            do throws(SystemError) { try use(entry, device, &modules) } catch {
                let what =
                    entry.isSwap
                    ? "swap to \(entry.source.excerpt)"
                    : "mount \(entry.target.excerpt)" as ByteString
                complain("unable to \(what): \(ByteString(error.errno.text))", entry, &trouble)
            }
        }
        return trouble ?? .done
    }

    private func complain(
        _ text: ByteString, _ entry: FileSystemTable.Entry, _ trouble: inout Outcome?
    ) {
        let line: ByteString = "/etc/fstab: line \(entry.line): \(text)"
        if entry.options.mayFail || entry.isSwap { return messages.warning(line) }
        trouble = trouble ?? .failed(line)
    }

    private func device(of entry: FileSystemTable.Entry) -> ByteString? {
        let isDevice: Bool =
            switch VolumeName(entry.source) {
            case .device(let path): path.hasPrefix("/dev/")
            default: true
            }
        if !isDevice { return entry.source }
        return Volumes.await(
            entry.source, milliseconds: entry.options.mayFail ? 0 : FileSystems.patience)
    }

    private func use(
        _ entry: FileSystemTable.Entry, _ device: ByteString, _ modules: inout ModuleLoader?
    )
        throws(SystemError)
    {
        if entry.isSwap {
            return try startSwapping(to: device, priority: entry.options.swapPriority)
        }
        let mounted = MountTable(try contents(of: "/proc/self/mountinfo", limit: 1 << 22))[
            entry.target]
        if mounted?.type == entry.type, !entry.options.flags.contains(.bind) { return }
        var type = entry.type
        if type == "auto" { type = Volumes.identity(of: device)?.type ?? type }
        if !(try exists(entry.target)) { try makeDirectory(entry.target, permissions: 0o755) }
        let options = entry.options
        do throws(SystemError) {
            try mount(
                device, on: entry.target, type: type, flags: options.flags.rawValue,
                data: options.data)
        } catch {
            guard error.errno == .noDevice, modules?.load("fs-\(type)") == true else { throw error }
            try mount(
                device, on: entry.target, type: type, flags: options.flags.rawValue,
                data: options.data)
        }
        // A bind takes no other flags while it is made.
        let further = options.flags.subtracting([.bind, .recursive])
        if options.flags.contains(.bind), !further.isEmpty {
            try mount("", on: entry.target, flags: further.union([.bind, .remount]).rawValue)
        }
    }

    /// Runs fsck(8) for those that ask for it, all at once.
    private func check(
        _ volumes: [(device: ByteString, type: ByteString, target: ByteString)],
        _ children: borrowing BootChildren
    ) -> Outcome {
        if commandLine.checkMode == .skip { return .done }
        let isForced = commandLine.checkMode == .force
        let due = volumes.filter { volume in
            if isForced { return true }
            do throws(SystemError) {
                return CheckPolicy.isDue(
                    try Volumes.start(of: volume.device), at: wallClock().seconds)
            } catch { return false }
        }
        let commands = due.map { volume in
            let found = volume.type == "auto" ? Volumes.identity(of: volume.device)?.type : nil
            let options = ["-T", "-a", "-t", found ?? volume.type] + (isForced ? ["-f"] : [])
            return Invocation(
                command: ["fsck"] + options + [volume.device], environment: environment)
        }
        if commands.isEmpty { return .done }
        for (end, volume) in zip(children.runTogether(commands, limit: FileSystems.checkLimit), due)
        {
            switch end {
            case .told(let ending): return .told(ending)
            case .ended(let status):
                // fsck(8): 1 for errors put right, 2 for a machine that is to start again, 4 for errors left.
                let code = status.exitCode ?? 8
                if code & 2 != 0 { return .told(.reboot) }
                if code & ~1 != 0 {
                    return .failed(
                        "fsck of \(volume.device.excerpt) for \(volume.target.excerpt) ended with \(code)"
                    )
                }
            // Without fsck there is nothing to be known, and no reason to stop.
            case .failed, .late: break
            }
        }
        return .done
    }
}
