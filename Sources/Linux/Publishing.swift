/// Makes a file that is to take another's place, emptied when it is there. openat(2).
public func createFile(_ path: ByteString) throws(Failure) -> Descriptor {
    do throws(SystemError) { return try openFile(path, .truncate) } catch {
        throw error.explained("unable to create \(path)")
    }
}

/// Writes all of the new file `temporary` to disk and gives it the name `target`, so that whoever opens
/// that finds the old content or the new. fsync(2), rename(2).
public func publish(
    _ file: consuming Descriptor, _ bytes: [UInt8], _ temporary: ByteString, as target: ByteString
) throws(Failure) {
    do throws(SystemError) {
        try writeAll(file.number, bytes)
        try synchronize(file)
        try file.close()
    } catch { throw error.explained("unable to write to \(temporary)") }
    do throws(SystemError) { try rename(temporary, to: target) } catch {
        throw error.explained("unable to move \(temporary) to \(target)")
    }
}

/// All that can be read from `descriptor`, at most `limit` bytes; more throws EFBIG.
public func contents(of descriptor: Int32, limit: Int) throws(SystemError) -> [UInt8] {
    var bytes: [UInt8] = []
    var block = [UInt8](repeating: 0, count: min(limit + 1, 65536))
    while true {
        let count = try block.withUnsafeMutableBufferPointer {
            (buffer) throws(SystemError) -> Int in
            try read(descriptor, into: UnsafeMutableRawBufferPointer(buffer))
        }
        if count == 0 { return bytes }
        bytes.append(contentsOf: block[..<count])
        if bytes.count > limit { throw SystemError("read", .fileTooBig) }
    }
}
