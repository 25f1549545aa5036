import Bytes
import Commands
import Linux

/// A lock, for as long as the descriptor is open, here or in a program that got it.
struct HeldLock: ~Copyable {
    private let file: Descriptor
    /// Whether somebody else had the lock.
    let hasWaited: Bool

    /// Locks the file at `path`, which is made if needed. `words` are what stands in a message after "unable
    /// to open" and "unable to lock".
    init(
        _ path: ByteString, wait: Bool, _ words: (opening: ByteString, locking: ByteString)
    ) throws(Failure) {
        let file: Descriptor
        do throws(SystemError) { file = try openFile(path, .append) } catch {
            throw error.explained("unable to open\(words.opening) \(path)")
        }
        do throws(SystemError) { hasWaited = try lock(file, orWait: wait) } catch {
            throw error.explained("unable to lock\(words.locking) \(path)")
        }
        self.file = file
    }

    /// Leaves it to the program that this process becomes.
    consuming func handDown(_ path: ByteString) throws(Failure) {
        do throws(SystemError) { try file.keepOnExec() } catch {
            throw error.explained("unable to lock \(path)")
        }
        _ = file.release()
    }
}

private func lock(_ file: borrowing Descriptor, orWait wait: Bool) throws(SystemError) -> Bool {
    do throws(SystemError) {
        try lock(file, wait: false)
        return false
    } catch {
        if !wait || error.errno != .again { throw error }
    }
    try lock(file, wait: true)
    return true
}
