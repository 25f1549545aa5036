import Bytes
import CLinux

/// What a symbolic link says; longer than 4095 bytes throws ENAMETOOLONG. readlinkat(2).
public func readLink(_ path: ByteString, in directory: Directory = .current) throws(SystemError)
    -> ByteString
{
    let room = 4096
    // The limits of this process may leave it nothing to allocate.
    return try withUnsafeTemporaryAllocation(byteCount: room, alignment: 1) {
        (buffer) throws(SystemError) -> ByteString in
        let start = buffer.baseAddress.unsafelyUnwrapped.assumingMemoryBound(to: CChar.self)
        let count = try Kernel.call("readlink", path) {
            path.withCString { readlinkat(directory.number, $0, start, room) }
        }
        if count == room { throw SystemError("readlink", Errno(ENAMETOOLONG), subject: path) }
        return ByteString(Array(buffer[..<count]))
    }
}

/// Makes `path` a symbolic link that says `target`. symlinkat(2).
public func makeSymbolicLink(
    _ path: ByteString, to target: ByteString, in directory: Directory = .current
) throws(SystemError) {
    _ = try Kernel.call("symlink", path) {
        path.withCString { name in target.withCString { symlinkat($0, directory.number, name) } }
    }
}
