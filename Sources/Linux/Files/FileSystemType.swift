import Bytes
import CLinux

/// Whether changes to the file system of `descriptor` may come from elsewhere than this kernel, which
/// then does not notice them: network file systems and those of virtual machines' hosts. fstatfs(2).
public func isShared(_ descriptor: borrowing Descriptor) throws(SystemError) -> Bool {
    sharedTypes.contains(try fileSystemType(of: descriptor))
}

/// Whether `descriptor` is of procfs, where links name open files and other things that have no path.
/// fstatfs(2).
func isProcess(_ descriptor: borrowing Descriptor) throws(SystemError) -> Bool {
    try fileSystemType(of: descriptor) == 0x9fa0
}

/// The magic number of its file system.
private func fileSystemType(of descriptor: borrowing Descriptor) throws(SystemError) -> UInt32 {
    let number = descriptor.number
    var information = statfs()
    _ = try Kernel.call("fstatfs") { fstatfs(number, &information) }
    return UInt32(truncatingIfNeeded: information.f_type)
}

/// The magic numbers of statfs(2).
private let sharedTypes: [UInt32] = [
    0x6969,  // NFS
    0x517b, 0xfe53_4d42, 0xff53_4d42,  // SMB, SMB2, CIFS
    0x0102_1997,  // 9p
    0x6573_5546,  // FUSE, virtiofs among them
    0x786f_4256,  // VirtualBox
    0x00c3_6400,  // Ceph
    0x5346_414f, 0x6b41_4653,  // AFS
    0x7375_7245,  // Coda
    0x0bd0_0bd0,  // Lustre
    0x0116_1970,  // GFS2
    0x7461_636f,  // OCFS2
]
