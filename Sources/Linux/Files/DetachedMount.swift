import Bytes
import CLinux

/// What a mount allows less than the file system in it. mount_setattr(2) MOUNT_ATTR_*.
public struct MountAttributes: OptionSet, Sendable {
    /// The kernel's bits.
    public let rawValue: UInt64

    /// Attributes of the kernel's bits.
    public init(rawValue: UInt64) { self.rawValue = rawValue }

    /// Nothing is written.
    public static let readOnly = MountAttributes(rawValue: 1)
    /// Set-user-ID bits and file capabilities have no effect.
    public static let noSetID = MountAttributes(rawValue: 2)
    /// Devices cannot be opened.
    public static let noDevices = MountAttributes(rawValue: 4)
    /// Nothing is executed.
    public static let noExec = MountAttributes(rawValue: 8)
}

/// A copy of what is mounted at a place and below it, which is nowhere yet. It needs CAP_SYS_ADMIN over the mount
/// namespace, and Linux 5.12. open_tree(2).
public struct DetachedMount: ~Copyable {
    // AT_EMPTY_PATH, AT_RECURSIVE
    private static let (emptyPath, recursive) = (0x1000, 0x8000)

    private let tree: Descriptor

    /// Copies what there is at the open `place`: a directory with what is mounted below it, or a file.
    public init(of place: borrowing Descriptor) throws(SystemError) {
        let number = Int(place.number)
        tree = Descriptor(
            owning: Int32(
                try Kernel.call("open_tree") { () -> Int in
                    // OPEN_TREE_CLONE and OPEN_TREE_CLOEXEC
                    let flags = 1 | Int(O_CLOEXEC) | DetachedMount.emptyPath
                    return ByteString().withCString {
                        cl_syscall(
                            428, number, Int(bitPattern: $0), flags | DetachedMount.recursive, 0)
                    }
                }))
    }

    /// Takes more away, in all of it. mount_setattr(2).
    public borrowing func add(_ attributes: MountAttributes) throws(SystemError) {
        try restrictMounts(at: tree, to: attributes)
    }

    /// Mounts it at the open `place`, for everybody in this mount namespace. move_mount(2).
    public borrowing func attach(at place: borrowing Descriptor) throws(SystemError) {
        let (number, target) = (Int(tree.number), Int(place.number))
        _ = try Kernel.call("move_mount") { () -> Int in
            ByteString().withCString {
                // MOVE_MOUNT_F_EMPTY_PATH and MOVE_MOUNT_T_EMPTY_PATH
                cl_syscall_5(
                    429, number, Int(bitPattern: $0), target, Int(bitPattern: $0), 0x4 | 0x40)
            }
        }
    }
}

/// Adds attributes to the mount whose root is open as `place`, and to all below it. mount_setattr(2).
public func restrictMounts(at place: borrowing Descriptor, to attributes: MountAttributes)
    throws(SystemError)
{
    let number = Int(place.number)
    var request: (UInt64, UInt64, UInt64, UInt64) = (attributes.rawValue, 0, 0, 0)
    _ = try Kernel.call("mount_setattr") { () -> Int in
        withUnsafeMutablePointer(to: &request) { request in
            ByteString().withCString {
                // AT_EMPTY_PATH and AT_RECURSIVE
                cl_syscall_5(
                    442, number, Int(bitPattern: $0), 0x1000 | 0x8000, Int(bitPattern: request), 32)
            }
        }
    }
}

/// Keeps mounts made from here on from other namespaces; what is mounted in those still comes. mount(2) MS_SLAVE.
public func stopSharingMounts() throws(SystemError) {
    try mount("none", on: "/", flags: UInt(MS_REC) | UInt(MS_SLAVE))
}
