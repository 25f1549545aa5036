import Bytes
import Linux

/// Makes a file that is to take another's place; what is there already is emptied, unless `mode` says
/// otherwise. openat(2).
public func createFile(
    _ path: ByteString, mode: OpenMode = .truncate
) throws(Failure) -> Descriptor {
    do throws(SystemError) { return try openFile(path, mode) } catch {
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
