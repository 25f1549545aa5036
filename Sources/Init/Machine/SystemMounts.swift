import Bytes
import Commands
import Formats
import Linux

/// The file systems of the kernel's own, each mounted where it is not there already.
struct SystemMounts {
    private let messages: Messages

    init(_ messages: Messages) { self.messages = messages }

    private struct Plan {
        let type: ByteString
        let target: ByteString
        var flags: MountOptions.Flags = [.noSetuid, .noExecution, .noDevices]
        var data: ByteString = ""
        /// A file that is there when it is mounted.
        let sign: ByteString
        /// Whether the machine lacks nothing without it.
        var mayFail = false
        var permissions: UInt32 = 0o755
    }

    private static let plans: [Plan] = [
        Plan(type: "proc", target: "/proc", sign: "/proc/self"),
        Plan(type: "sysfs", target: "/sys", sign: "/sys/kernel"),
        Plan(type: "devtmpfs", target: "/dev", flags: .noSetuid, data: "mode=755", sign: ""),
        Plan(
            type: "devpts", target: "/dev/pts", flags: [.noSetuid, .noExecution],
            data: "gid=5,mode=620,ptmxmode=666", sign: "/dev/pts/ptmx"),
        Plan(
            type: "tmpfs", target: "/dev/shm", flags: [.noSetuid, .noDevices], data: "mode=1777",
            sign: ""),
        Plan(
            type: "tmpfs", target: "/run", flags: [.noSetuid, .noDevices], data: "mode=755",
            sign: ""),
        Plan(
            type: "cgroup2", target: "/sys/fs/cgroup", sign: "/sys/fs/cgroup/cgroup.procs",
            mayFail: true),
    ]

    /// Mounts what is missing.
    func perform() {
        for plan in SystemMounts.plans { perform(plan) }
        for (name, target) in SystemMounts.deviceLinks { makeLink(name, target) }
    }

    /// /tmp in memory, unless something is mounted there.
    func mountTemporary() {
        perform(
            Plan(
                type: "tmpfs", target: "/tmp", flags: [.noSetuid, .noDevices], data: "mode=1777",
                sign: "",
                permissions: 0o1777))
    }

    private func perform(_ plan: Plan) {
        do throws(SystemError) {
            if try isMounted(plan) { return }
            try makePlace(plan)
            try mount(
                plan.type, on: plan.target, type: plan.type, flags: plan.flags.rawValue,
                data: plan.data)
        } catch {
            if plan.mayFail { return }
            messages.warning("unable to mount \(plan.target)", error.errno)
        }
    }

    private func makePlace(_ plan: Plan) throws(SystemError) {
        if try exists(plan.target) { return }
        do throws(SystemError) {
            try makeDirectory(plan.target, permissions: plan.permissions)
        } catch {
            guard error.errno == .readOnly else { throw error }
            // A root file system without the places that every machine needs gets them all the same.
            let flags = MountOptions.Flags.remount
            try mount("", on: "/", flags: flags.rawValue)
            try makeDirectory(plan.target, permissions: plan.permissions)
            try mount("", on: "/", flags: flags.union(.readOnly).rawValue)
        }
    }

    private func isMounted(_ plan: Plan) throws(SystemError) -> Bool {
        if !plan.sign.isEmpty { return try exists(plan.sign) }
        return MountTable(try contents(of: "/proc/self/mountinfo", limit: 1 << 22))[plan.target]
            != nil
    }

    /// What udev makes, and programs of the shell take for granted.
    private static let deviceLinks: [(ByteString, ByteString)] = [
        ("/dev/fd", "/proc/self/fd"), ("/dev/stdin", "/proc/self/fd/0"),
        ("/dev/stdout", "/proc/self/fd/1"),
        ("/dev/stderr", "/proc/self/fd/2"),
    ]

    private func makeLink(_ name: ByteString, _ target: ByteString) {
        do throws(SystemError) { try makeSymbolicLink(name, to: target) } catch {
            if error.errno != .exists { messages.warning("unable to make \(name)", error.errno) }
        }
    }
}
