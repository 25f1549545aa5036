import Bytes
import Linux

/// Makes a file that is to take another's place. What an earlier attempt left by that name goes: a link or
/// a second name of a file that somebody else made there would lead to that file. openat(2) O_EXCL.
public func createFile(_ path: ByteString) throws(Failure) -> Descriptor {
    do throws(SystemError) {
        do throws(SystemError) { return try openFile(path, .createNew) } catch {
            if error.errno != .exists { throw error }
        }
        // A device or a directory is there by mistake, and stays.
        let leftover = try status(of: path, followLinks: false)
        guard leftover.isRegular || leftover.isLink else {
            throw SystemError(
                "open", leftover.isDirectory ? .isDirectory : .exists, subject: path)
        }
        try removeFile(path)
        return try openFile(path, .createNew)
    } catch { throw error.explained("unable to create \(path)") }
}

/// Writes `bytes` to the end of the new file `temporary` and publishes it.
public func publish(
    _ file: consuming Descriptor, _ bytes: [UInt8], _ temporary: ByteString, as target: ByteString
) throws(Failure) {
    do throws(SystemError) { try writeAll(file.number, bytes) } catch {
        throw error.explained("unable to write to \(temporary)")
    }
    try publish(file, temporary, as: target)
}

/// Has all of the new file `temporary` on disk and then gives it the name `target`, so that whoever opens
/// that finds the old content or the new, also after a crash. fsync(2), rename(2).
public func publish(
    _ file: consuming Descriptor, _ temporary: ByteString, as target: ByteString
) throws(Failure) {
    do throws(SystemError) {
        try synchronize(file)
        try file.close()
    } catch { throw error.explained("unable to write to \(temporary)") }
    do throws(SystemError) { try rename(temporary, to: target) } catch {
        throw error.explained("unable to move \(temporary) to \(target)")
    }
}
