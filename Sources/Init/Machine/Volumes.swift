import Bytes
import Formats
import Linux

/// The disks and partitions that are there.
enum Volumes {
    /// The device that `name` means; nil when there is none now.
    static func device(named name: ByteString) -> ByteString? {
        switch VolumeName(name) {
        case .device(let path): return isThere(path) ? path : nil
        case .uuid(let uuid): return device { $0.uuid == uuid }
        case .label(let label): return device { $0.label == label }
        case .partition(let uuid): return partition("PARTUUID", uuid)
        case .partitionLabel(let label): return partition("PARTNAME", label)
        }
    }

    /// Waits until the device is there, at most so many milliseconds.
    static func await(_ name: ByteString, milliseconds: UInt64) -> ByteString? {
        let deadline = Instant.now.advanced(milliseconds: milliseconds)
        while true {
            if let path = device(named: name) { return path }
            if deadline <= .now { return nil }
            Linux.pause(until: Instant.now.advanced(milliseconds: 20))
        }
    }

    /// What is in a volume.
    static func identity(of device: ByteString) -> VolumeIdentity? {
        do throws(SystemError) { return VolumeIdentity(try start(of: device)) } catch { return nil }
    }

    /// The beginning of a volume.
    static func start(of device: ByteString) throws(SystemError) -> [UInt8] {
        let file = try openFile(device, .read)
        var bytes = [UInt8](repeating: 0, count: VolumeIdentity.size)
        let count = try bytes.withUnsafeMutableBufferPointer {
            (buffer) throws(SystemError) -> Int in
            try Linux.read(file, at: 0, into: UnsafeMutableRawBufferPointer(buffer))
        }
        return Array(bytes[..<count])
    }

    /// The device that the root file system is on; nil when it is on none.
    static var root: ByteString? {
        do throws(SystemError) {
            let device = try status(of: "/").identity.device
            // As glibc and the kernel write major and minor numbers into one.
            let major = device >> 8 & 0xfff | device >> 32 & ~0xfff
            let minor = device & 0xff | device >> 12 & ~0xff
            return value("DEVNAME", in: try uevent("/sys/dev/block/\(major):\(minor)")).map {
                "/dev/\($0)"
            }
        } catch { return nil }
    }

    private static func isThere(_ path: ByteString) -> Bool {
        do throws(SystemError) { return try exists(path) } catch { return false }
    }

    private static func device(where fits: (VolumeIdentity) -> Bool) -> ByteString? {
        for name in SmallFiles.list("/sys/class/block") {
            let path: ByteString = "/dev/\(name)"
            if let identity = identity(of: path), fits(identity) { return path }
        }
        return nil
    }

    private static func partition(_ key: ByteString, _ wanted: ByteString) -> ByteString? {
        for name in SmallFiles.list("/sys/class/block") {
            do throws(SystemError) {
                if value(key, in: try uevent("/sys/class/block/\(name)")) == wanted {
                    return "/dev/\(name)"
                }
            } catch {}
        }
        return nil
    }

    private static func uevent(_ directory: ByteString) throws(SystemError) -> [UInt8] {
        try contents(of: "\(directory)/uevent", limit: 4096)
    }

    private static func value(_ key: ByteString, in text: [UInt8]) -> ByteString? {
        for line in text.split(separator: UInt8(ascii: "\n")) {
            if let (name, value) = ByteString(line).cut(at: UInt8(ascii: "=")), name == key {
                return value
            }
        }
        return nil
    }
}
