import Bytes
import CLinux

/// The running kernel's release, `6.1.0-18-amd64` say. uname(2).
public func kernelRelease() throws(SystemError) -> ByteString {
    var names = utsname()
    _ = try Kernel.call("uname") { uname(&names) }
    return withUnsafeBytes(of: &names.release) { ByteString($0) }
}
