import Bytes
import Commands
import Linux

/// Flags of mount(2) that go together here.
enum MountFlags {
    /// MS_NOSUID and MS_NODEV.
    static let noSetIDNoDevices: UInt = 0x2 | 0x4
    /// The same, MS_RDONLY and MS_NOEXEC.
    static let nothing: UInt = 0x1 | 0x2 | 0x4 | 0x8
    /// MS_NOSUID and MS_NOEXEC.
    static let terminals: UInt = 0x2 | 0x8
}

/// A /dev that has what every program may expect, and no device of the machine.
struct OwnDevices {
    private static let devices = WordList("null zero full random urandom tty")
    private static let links: [(ByteString, ByteString)] = [
        ("/dev/fd", "/proc/self/fd"), ("/dev/stdin", "/proc/self/fd/0"),
        ("/dev/stdout", "/proc/self/fd/1"), ("/dev/stderr", "/proc/self/fd/2"),
        ("/dev/ptmx", "pts/ptmx"),
    ]

    /// Puts it over what there is, for this process's mount namespace.
    func mount() throws(Failure) {
        do throws(SystemError) {
            // Making devices takes CAP_MKNOD, and no user namespace has it. Those that are there are mounted again.
            var copies: [(ByteString, DetachedPlace)] = []
            for name in OwnDevices.devices.words {
                let path: ByteString = "/dev/\(name)"
                if try exists(path) { copies.append((path, try DetachedPlace(path))) }
            }
            try Linux.mount(
                "tmpfs", on: "/dev", type: "tmpfs", flags: MountFlags.terminals | 0x4,
                data: "mode=755,size=64k")
            for (path, copy) in copies {
                try openFile(path, .createNew).close()
                try copy.attach(at: path)
            }
            try makeDirectory("/dev/pts", permissions: 0o755)
            try Linux.mount(
                "devpts", on: "/dev/pts", type: "devpts", flags: MountFlags.terminals,
                data: "newinstance,ptmxmode=0666,mode=0620")
            try makeDirectory("/dev/shm", permissions: 0o755)
            try Linux.mount(
                "tmpfs", on: "/dev/shm", type: "tmpfs",
                flags: MountFlags.noSetIDNoDevices | 0x8, data: "mode=1777")
            for (path, target) in OwnDevices.links { try makeSymbolicLink(path, to: target) }
        } catch {
            throw error.explained("unable to mount a new /dev\(DetachedPlace.cause(error))")
        }
    }
}
