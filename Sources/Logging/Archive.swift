import Bytes
import Commands
import Formats
import Linux

/// The finished files of a log directory, named `@` and the TAI64N label of the moment they were
/// finished, and whether they are complete.
struct Archive {
    /// What the end of a finished file's name says of it.
    enum Code: UInt8, CaseIterable {
        /// `.s`: safely on disk, or processed.
        case safe = 0x73
        /// `.u`: a crash may have cut it.
        case uncertain = 0x75
    }

    private let place: Directory
    private let path: ByteString
    private let count: UInt
    private let retry: Retry

    /// The archive of the log directory open as `place`.
    init(_ place: Directory, _ settings: LogDirectorySettings, _ retry: Retry) {
        self.place = place
        path = settings.path
        count = settings.count
        self.retry = retry
    }

    /// Archives what a crash left behind, and starts an empty `state`. `processed` is whole once it
    /// is executable; before that, `previous` still has everything.
    func recover() throws(Failure) {
        discard("state")
        discard("newstate")
        let processed = try require("unable to stat \(path)/processed") {
            () throws(SystemError) in try statusIfAny("processed")
        }
        if let processed, processed.isMarkedSafe {
            discard("previous")
            finish("processed", .safe)
        } else {
            discard("processed")
            finish("previous", .uncertain)
        }
        finish("current", .uncertain)
        _ = try require("unable to write to \(path)/state") { () throws(SystemError) in
            try openFile("state", .truncate, in: place)
        }
    }

    /// Gives `file`, if there is one, its archived name, and makes room: as many files as the script
    /// allows, `current` among them. Two names mean that a crash came between link and unlink.
    func finish(_ file: ByteString, _ code: Code) {
        let found = retry.untilDone("unable to stat \(path)/\(file)") {
            () throws(SystemError) in try statusIfAny(file)
        }
        guard let found else { return }
        if found.links == 1 {
            var name = ByteString()
            retry.untilDone("unable to link to \(path)/\(name)") { () throws(SystemError) in
                name = Archive.name(code)
                try link(file, to: name, in: place)
            }
        }
        retry.untilDone("unable to remove \(path)/\(file)") { () throws(SystemError) in
            try removeFile(file, in: place)
        }
        retry.untilDone("unable to read \(path)") { () throws(SystemError) in try removeOldest() }
    }

    private static func name(_ code: Code) -> ByteString {
        let time = wallClock()
        let label = TAI64N(unixSeconds: time.seconds, nanoseconds: time.nanoseconds)
        return ByteString(label.text + [UInt8(ascii: "."), code.rawValue])
    }

    private func removeOldest() throws(SystemError) {
        var names = try entries(of: ".", in: place).filter {
            $0.count >= TAI64N.textCount && $0[0] == UInt8(ascii: "@")
        }
        guard names.count >= count else { return }
        names.sortByBytes()
        for name in names.prefix(names.count - Int(count) + 1) {
            try removeFile(name, in: place)
        }
    }

    /// The file's status; nil when there is no such file.
    func statusIfAny(_ file: ByteString) throws(SystemError) -> FileStatus? {
        do throws(SystemError) { return try status(of: file, in: place) } catch {
            if error.errno == .noEntry { return nil }
            throw error
        }
    }

    /// Removes a file that should not be there. Where that fails the next step on the file does too,
    /// and says so.
    private func discard(_ file: ByteString) {
        do throws(SystemError) { try removeFile(file, in: place) } catch {}
    }
}

extension FileStatus {
    /// Whether the file is executable by its owner, which on a log file means safely on disk.
    var isMarkedSafe: Bool { mode & 0o100 != 0 }
}

/// Does `body`, which multilog cannot start without; `trouble` is what it is unable to do.
func require<Value: ~Copyable>(
    _ trouble: @autoclosure () -> ByteString, _ body: () throws(SystemError) -> Value
) throws(Failure) -> Value {
    do throws(SystemError) { return try body() } catch { throw error.explained(trouble()) }
}
