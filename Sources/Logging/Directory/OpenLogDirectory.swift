import Bytes
import Commands
import Linux

/// What is open of a log directory: the directory, its lock, and `current`.
struct OpenLogDirectory: ~Copyable {
    /// The directory.
    let place: Descriptor
    /// The file that lines go to, for appending.
    private(set) var current: Descriptor
    /// Its length when it was opened, in bytes.
    let initialBytes: Int

    private let lockFile: Descriptor

    /// Opens, makes and locks what is needed, and archives what a crash left.
    init(_ settings: LogDirectorySettings, _ retry: Retry) throws(Failure) {
        let path = settings.path
        let place = try require("unable to open directory \(path)") { () throws(SystemError) in
            try OpenLogDirectory.open(path)
        }
        let lockFile = try require("unable to lock directory \(path)") { () throws(SystemError) in
            let file = try openRegularFile("lock", .append, in: Directory(place))
            try lock(file, wait: false)
            return file
        }
        let archive = Archive(Directory(place), settings, retry)
        let left = try require("unable to stat \(path)/current") { () throws(SystemError) in
            try archive.statusIfAny("current")
        }
        // What is no file, a link above all, is nobody's log, and not to be archived: opening it tells.
        if let left, left.isMarkedSafe || !left.isRegular {
            current = try OpenLogDirectory.goOn(in: Directory(place), path)
            initialBytes = left.size
        } else {
            try archive.recover()
            current = try require("unable to write to \(path)/current") {
                () throws(SystemError) in
                try openFile("current", .createAppending, in: Directory(place))
            }
            initialBytes = 0
        }
        self.place = place
        self.lockFile = lockFile
    }

    /// Makes a new `current` where there is none, in place of whatever has the name meanwhile.
    mutating func startCurrent() throws(SystemError) {
        let directory = Directory(place)
        do throws(SystemError) {
            current = try openFile("current", .createAppending, in: directory)
            return
        } catch { if error.errno != .exists { throw error } }
        try removeFile("current", in: directory)
        current = try openFile("current", .createAppending, in: directory)
    }

    /// Root follows no link that another user may have made to have something else overwritten.
    private static func open(_ path: ByteString) throws(SystemError) -> Descriptor {
        if CurrentProcess.effectiveUser == 0 {
            return try openTrusted(path, .directory, makingDirectory: 0o700)
        }
        // It may exist already; if it could not be made, opening it tells why.
        do throws(SystemError) { try makeDirectory(path, permissions: 0o700) } catch {}
        return try openFile(path, .directory)
    }

    private static func goOn(in place: Directory, _ path: ByteString) throws(Failure) -> Descriptor
    {
        let file = try require("unable to append to \(path)/current") { () throws(SystemError) in
            try openRegularFile("current", .append, in: place)
        }
        try require("unable to set mode of \(path)/current") { () throws(SystemError) in
            try setPermissions(file, LogDirectory.unsafeMode)
        }
        return file
    }
}
