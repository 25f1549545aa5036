import Bytes
import Commands
import Linux

/// Reading what may be there and writing what need not: at boot a missing file is no error.
enum SmallFiles {
    /// No file that is read at boot is longer.
    static let limit = 1 << 24

    /// The content of a file; nil when there is none. Any other failure is worth a line.
    static func read(_ path: ByteString, _ messages: Messages) -> [UInt8]? {
        do throws(SystemError) { return try contents(of: path, limit: limit) } catch {
            if error.errno != .noEntry && error.errno != .notDirectory {
                messages.warning("unable to read \(path)", error.errno)
            }
            return nil
        }
    }

    /// The files of a directory whose names end in `suffix`, in byte order; none when it is missing.
    static func list(_ directory: ByteString, suffix: ByteString = "") -> [ByteString] {
        do throws(SystemError) {
            var names = try entries(of: directory).filter { name in
                name.bytes.suffix(suffix.count).elementsEqual(suffix.bytes) && !name.hasPrefix(".")
            }
            names.sortByBytes()
            return names
        } catch { return [] }
    }

    /// The files that configure something, in the manner of sysctl.d(5): those of all directories in the order of their
    /// names; of several by one name, the first directory's.
    static func configuration(_ name: ByteString) -> [ByteString] {
        var found: [(name: ByteString, path: ByteString)] = []
        for parent in ["/etc", "/run", "/usr/local/lib", "/usr/lib"] as [ByteString] {
            let directory: ByteString = "\(parent)/\(name)"
            for file in list(directory, suffix: ".conf")
            where !found.contains(where: { $0.name == file }) {
                found.append((file, "\(directory)/\(file)"))
            }
        }
        found.sort { $0.name < $1.name }
        return found.map { $0.path }
    }

    /// Writes a file of the kernel's, which takes it at once.
    static func write(_ text: ByteString, to path: ByteString) throws(SystemError) {
        let file = try openFile(path, .write)
        try writeAll(file.number, Array(text.bytes))
        try file.close()
    }
}
