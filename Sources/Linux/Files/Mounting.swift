import Bytes
import CLinux

/// Mounts `source` on `target`. `flags` are the kernel's MS_*, `data` is for the file system. mount(2).
public func mount(
    _ source: ByteString, on target: ByteString, type: ByteString = "", flags: UInt = 0,
    data: ByteString = ""
) throws(SystemError) {
    _ = try Kernel.call("mount", target) {
        source.withCString { source in
            target.withCString { target in
                type.withCString { type in
                    data.withCString { data in CLinux.mount(source, target, type, flags, data) }
                }
            }
        }
    }
}

/// Takes down what is mounted last on `target`, at once and not once it is idle. umount2(2).
public func unmount(_ target: ByteString) throws(SystemError) {
    // UMOUNT_NOFOLLOW: nobody's link leads elsewhere.
    _ = try Kernel.call("umount", target) { target.withCString { umount2($0, 8) } }
}

/// Uses a device or file as swap space, with a priority if one is given. swapon(2).
public func startSwapping(to path: ByteString, priority: Int? = nil) throws(SystemError) {
    // SWAP_FLAG_PREFER
    let flags = priority.map { 0x8000 | Int32($0 & 0x7fff) } ?? 0
    _ = try Kernel.call("swapon", path) { path.withCString { swapon($0, flags) } }
}

/// Brings back what was swapped there. swapoff(2).
public func stopSwapping(to path: ByteString) throws(SystemError) {
    _ = try Kernel.call("swapoff", path) { path.withCString { swapoff($0) } }
}

/// Whether the root directory is in memory only, as an initial one that a boot loader handed over is. statfs(2).
public func isRootInMemory() throws(SystemError) -> Bool {
    let root = try openFile("/", .place)
    let number = root.number
    var information = statfs()
    _ = try Kernel.call("fstatfs") { fstatfs(number, &information) }
    let type = UInt32(truncatingIfNeeded: information.f_type)
    // RAMFS_MAGIC, TMPFS_MAGIC
    return type == 0x8584_58f6 || type == 0x0102_1994
}

/// Whether nothing can be written to `path`: its file system is read-only, or what is mounted there. statfs(2).
public func isReadOnly(_ path: ByteString) throws(SystemError) -> Bool {
    var information = statfs()
    _ = try Kernel.call("statfs", path) { path.withCString { statfs($0, &information) } }
    // ST_RDONLY
    return UInt(truncatingIfNeeded: information.f_flags) & 1 != 0
}

/// Makes a device that a driver has announced. mknod(2).
public func makeCharacterDevice(
    _ path: ByteString, permissions: UInt32, major: UInt32, minor: UInt32
)
    throws(SystemError)
{
    let device = UInt64(minor & 0xff) | UInt64(major & 0xfff) << 8
    _ = try Kernel.call("mknod", path) {
        path.withCString { mknod($0, UInt32(S_IFCHR) | permissions, dev_t(device)) }
    }
}

/// Changes owner and group. chown(2).
public func setOwner(of path: ByteString, user: UInt32, group: UInt32) throws(SystemError) {
    _ = try Kernel.call("chown", path) { path.withCString { chown($0, user, group) } }
}
