import Bytes
import Commands
import Linux

/// What keeps random numbers random from one boot to the next: a file that is used once, as random(4) advises.
enum RandomSeed {
    private static let path: ByteString = "/var/lib/apus/random-seed"
    private static let size = 256

    /// Adds the seed of the last run. It counts as secret only once it is gone from the disk, so that no boot after
    /// a crash, and no copy of the machine started from here on, uses it again; `mayCount` says that the file was not
    /// part of an image that others have too.
    static func restore(_ messages: Messages, mayCount: Bool) {
        guard let seed = SmallFiles.read(path, messages), !seed.isEmpty else { return }
        do throws(SystemError) {
            var isGone = false
            do throws(SystemError) {
                try removeFile(path)
                // To wait for the disk is worth it only where it makes a difference.
                if mayCount {
                    let directory = try openFile("/var/lib/apus", .directory)
                    try synchronize(directory)
                }
                isGone = true
            } catch {
                if error.errno != .readOnly { throw error }
            }
            try Machine.addRandom(
                Array(seed.prefix(size)), isSecret: isGone && mayCount && seed.count >= size)
        } catch { messages.warning("unable to use the random seed", error.errno) }
    }

    /// Leaves a seed for the next boot.
    static func save(_ messages: Messages) {
        do throws(SystemError) {
            let seed = try Machine.random(size)
            do throws(SystemError) { try makeDirectory("/var/lib/apus", permissions: 0o700) } catch
            {
                if error.errno != .exists { throw error }
            }
            let file = try openFile(path, .secret)
            // It reaches the disk with everything else, when the file system is taken down.
            try writeAll(file.number, seed)
        } catch {
            // A read-only machine keeps nothing, and a kernel without random numbers has none to give.
            if error.errno != .readOnly && error.errno != .again && error.errno != .noEntry {
                messages.warning("unable to save the random seed", error.errno)
            }
        }
    }
}
