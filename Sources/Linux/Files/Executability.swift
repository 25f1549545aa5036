import Bytes
import CLinux

/// Throws unless the effective user may execute `path`, on its mount too. faccessat(2).
public func checkExecutable(_ path: ByteString, in directory: Directory = .current)
    throws(SystemError)
{
    _ = try Kernel.call("faccessat", path) {
        path.withCString { faccessat(directory.number, $0, X_OK, AT_EACCESS) }
    }
}

/// Whether the file at `path` has capabilities of its own. getxattr(2).
public func hasCapabilities(_ path: ByteString) throws(SystemError) -> Bool {
    do throws(SystemError) {
        _ = try Kernel.call("getxattr", path) {
            path.withCString { getxattr($0, "security.capability", nil, 0) }
        }
        return true
    } catch {
        if error.errno == Errno(ENODATA) || error.errno == Errno(EOPNOTSUPP) { return false }
        throw error
    }
}
