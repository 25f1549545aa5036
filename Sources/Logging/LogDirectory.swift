import Bytes
import Commands
import Linux

/// A log directory, open and locked: the file `current` that lines go to, and how it becomes an
/// archived one. Permissions tell what a crash left behind: 0744 is safely on disk, 0644 may not be.
/// Each step leaves files from which `Archive.recover` finds its way, so that a kill at any point
/// loses nothing that was written.
struct LogDirectory: ~Copyable {
    /// The length of `current` when it was opened, in bytes.
    let initialBytes: Int

    private let settings: LogDirectorySettings
    private let place: Descriptor
    private let lockFile: Descriptor
    private var current: Descriptor
    private let archive: Archive
    private let processor: Processor
    private let retry: Retry

    private var behind = 0
    private static let writebackSize = 1 << 20
    private static let unsafeMode: UInt32 = 0o644
    private static let safeMode: UInt32 = 0o744

    private var path: ByteString { settings.path }

    /// Opens, and makes if needed, the directory; fails when another logger has it. Goes on with
    /// `current` after a clean end, and else archives what a crash left.
    init(_ settings: LogDirectorySettings, _ processor: Processor, _ retry: Retry) throws(Failure) {
        let path = settings.path
        // It may exist already; if it could not be made, opening it tells why.
        do throws(SystemError) { try makeDirectory(path, permissions: 0o700) } catch {}
        let place = try require("unable to open directory \(path)") { () throws(SystemError) in
            try openFile(path, .directory)
        }
        let lockFile = try LogDirectory.lockFile(Directory(place), path)
        let archive = Archive(Directory(place), settings, retry)
        let left = try require("unable to stat \(path)/current") { () throws(SystemError) in
            try archive.statusIfAny("current")
        }
        let goesOn = left?.isMarkedSafe ?? false
        if !goesOn { try archive.recover() }
        let current = try LogDirectory.current(Directory(place), path, goesOn ? "append" : "write")
        initialBytes = goesOn ? left?.size ?? 0 : 0
        self.settings = settings
        self.place = place
        self.lockFile = lockFile
        self.current = current
        self.archive = archive
        self.processor = processor
        self.retry = retry
    }

    private static func lockFile(_ place: Directory, _ path: ByteString) throws(Failure)
        -> Descriptor
    {
        try require("unable to lock directory \(path)") { () throws(SystemError) in
            let file = try openFile("lock", .append, in: place)
            try lock(file, wait: false)
            return file
        }
    }

    private static func current(
        _ place: Directory, _ path: ByteString, _ verb: StaticString
    ) throws(Failure) -> Descriptor {
        let file = try require("unable to \(verb) to \(path)/current") { () throws(SystemError) in
            try openFile("current", .append, in: place)
        }
        try require("unable to set mode of \(path)/current") { () throws(SystemError) in
            try setPermissions(file, unsafeMode)
        }
        return file
    }

    /// Writes all of `bytes` to `current`.
    mutating func write(_ bytes: UnsafeRawBufferPointer) {
        var rest = bytes
        while !rest.isEmpty {
            let count = retry.untilDone("unable to write to \(path)/current") {
                () throws(SystemError) in try current.write(rest)
            }
            rest = UnsafeRawBufferPointer(rebasing: rest[count...])
        }
        behind += bytes.count
        if behind >= LogDirectory.writebackSize {
            behind = 0
            do throws(SystemError) { try startWriteback(current) } catch {}
        }
    }

    /// Archives `current`, through the processor if there is one, and starts a new one.
    mutating func rotate() {
        let directory = Directory(place)
        synchronizeCurrent()
        retry.untilDone("unable to rename current to previous in directory \(path)") {
            () throws(SystemError) in try rename("current", to: "previous", in: directory)
        }
        current = retry.untilDone("unable to create \(path)/current") { () throws(SystemError) in
            try openFile("current", .append, in: directory)
        }
        markCurrent(LogDirectory.unsafeMode)
        retry.untilDone("unable to set mode of \(path)/previous") { () throws(SystemError) in
            try setPermissions(of: "previous", LogDirectory.safeMode, in: directory)
        }
        if let command = settings.processor {
            process(command)
        } else {
            archive.finish("previous", .safe)
        }
    }

    /// Brings `current` safely to disk and says so in its permissions, for the next start.
    func end() {
        synchronizeCurrent()
        markCurrent(LogDirectory.safeMode)
    }

    private func process(_ command: ByteString) {
        let directory = Directory(place)
        processor.run(command, in: directory, path: path, retry)
        let processed = secured("processed")
        retry.untilDone("unable to set mode of \(path)/processed") { () throws(SystemError) in
            try setPermissions(processed, LogDirectory.safeMode)
        }
        _ = secured("newstate")
        retry.untilDone("unable to remove \(path)/previous") { () throws(SystemError) in
            try removeFile("previous", in: directory)
        }
        retry.untilDone("unable to rename newstate to state in directory \(path)") {
            () throws(SystemError) in try rename("newstate", to: "state", in: directory)
        }
        archive.finish("processed", .safe)
    }

    /// A file that a processor wrote, once it is on disk.
    private func secured(_ file: ByteString) -> Descriptor {
        let directory = Directory(place)
        let written = retry.untilDone("unable to create \(path)/\(file)") {
            () throws(SystemError) in try openFile(file, .append, in: directory)
        }
        retry.untilDone("unable to write \(path)/\(file) to disk") { () throws(SystemError) in
            try synchronize(written)
        }
        return written
    }

    private func synchronizeCurrent() {
        retry.untilDone("unable to write \(path)/current to disk") { () throws(SystemError) in
            try synchronize(current)
        }
    }

    private func markCurrent(_ mode: UInt32) {
        retry.untilDone("unable to set mode of \(path)/current") { () throws(SystemError) in
            try setPermissions(current, mode)
        }
    }
}
