import Bytes
import CLinux

/// What a symbolic link says; longer than 4095 bytes throws ENAMETOOLONG. readlinkat(2).
public func readLink(_ path: ByteString, in directory: Directory = .current) throws(SystemError)
    -> ByteString
{
    // So much comes from the stack: the limits of this process may leave it nothing to allocate.
    let short = try withUnsafeTemporaryAllocation(byteCount: 1024, alignment: 1) {
        (buffer) throws(SystemError) in try readLink(path, in: directory, into: buffer)
    }
    if let short { return short }
    let long = try withUnsafeTemporaryAllocation(byteCount: 4096, alignment: 1) {
        (buffer) throws(SystemError) in try readLink(path, in: directory, into: buffer)
    }
    guard let long else { throw SystemError("readlink", Errno(ENAMETOOLONG), subject: path) }
    return long
}

/// What a symbolic link says; nil if that leaves no byte of the buffer.
private func readLink(
    _ path: ByteString, in directory: Directory, into buffer: UnsafeMutableRawBufferPointer
) throws(SystemError) -> ByteString? {
    let start = buffer.baseAddress.unsafelyUnwrapped.assumingMemoryBound(to: CChar.self)
    let count = try Kernel.call("readlink", path) {
        path.withCString { readlinkat(directory.number, $0, start, buffer.count) }
    }
    return count == buffer.count ? nil : ByteString(Array(buffer[..<count]))
}

/// Makes `path` a symbolic link that says `target`. symlinkat(2).
public func makeSymbolicLink(
    _ path: ByteString, to target: ByteString, in directory: Directory = .current
) throws(SystemError) {
    _ = try Kernel.call("symlink", path) {
        path.withCString { name in target.withCString { symlinkat($0, directory.number, name) } }
    }
}

extension CurrentProcess {
    /// The path of the current directory. getcwd(2).
    public static func directory() throws(SystemError) -> ByteString {
        var buffer = [CChar](repeating: 0, count: 4096)
        _ = try Kernel.call("getcwd") { getcwd(&buffer, buffer.count) == nil ? -1 : 0 }
        return ByteString(cString: buffer)
    }
}
