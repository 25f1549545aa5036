import Bytes
import CLinux

/// What a symbolic link says; longer than 4095 bytes throws ENAMETOOLONG. readlinkat(2).
public func readLink(_ path: ByteString, in directory: Directory = .current) throws(SystemError)
    -> ByteString
{
    let room = 4096
    var target = [UInt8](repeating: 0, count: room)
    let count = try target.withUnsafeMutableBufferPointer {
        (buffer) throws(SystemError) -> Int in
        let start = UnsafeMutableRawPointer(buffer.baseAddress.unsafelyUnwrapped)
        return try Kernel.call("readlink", path) {
            path.withCString {
                readlinkat(directory.number, $0, start.assumingMemoryBound(to: CChar.self), room)
            }
        }
    }
    if count == room { throw SystemError("readlink", Errno(ENAMETOOLONG), subject: path) }
    return ByteString(target[..<count])
}

/// Makes `path` a symbolic link that says `target`. symlinkat(2).
public func makeSymbolicLink(
    _ path: ByteString, to target: ByteString, in directory: Directory = .current
) throws(SystemError) {
    _ = try Kernel.call("symlink", path) {
        path.withCString { name in target.withCString { symlinkat($0, directory.number, name) } }
    }
}
