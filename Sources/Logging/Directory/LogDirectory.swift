import Bytes
import Commands
import Linux

/// A log directory, open and locked: the file `current` that lines go to, and how it becomes an
/// archived one. Permissions tell what a crash left behind: 0744 is safely on disk, 0644 may not be.
/// Each step leaves files from which `Archive.recover` finds its way, so that a kill at any point
/// loses nothing that was written.
///
/// Whoever may write to the directory gains nothing by it: it is opened once, files in it are opened
/// relative to it and never through a link, new files are made where nothing is, and nothing but a
/// regular file with a single name is written to.
struct LogDirectory: LogPlace, ~Copyable {
    /// The length of `current` when it was opened, in bytes.
    let initialBytes: Int
    /// How many bytes could not be written before multilog had to end; nil as long as all were, and
    /// were brought safely to disk. From then on nothing is written.
    private(set) var lostBytes: Int?

    private let settings: LogDirectorySettings
    private let processor: Processor
    private let retry: Retry
    private var files: OpenLogDirectory

    private var behind = 0
    private static let writebackSize = 1 << 20
    static let unsafeMode: UInt32 = 0o644
    static let safeMode: UInt32 = 0o744

    private var path: ByteString { settings.path }
    private var directory: Directory { Directory(files.place) }
    private var archive: Archive { Archive(directory, settings, retry) }

    /// Opens, and makes if needed, the directory; fails when another logger has it. Goes on with
    /// `current` after a clean end, and else archives what a crash left.
    init(_ settings: LogDirectorySettings, _ processor: Processor, _ retry: Retry) throws(Failure) {
        let files = try OpenLogDirectory(settings, retry)
        initialBytes = files.initialBytes
        self.files = files
        self.settings = settings
        self.processor = processor
        self.retry = retry
    }

    /// Writes all of `bytes` to `current`.
    mutating func write(_ bytes: UnsafeRawBufferPointer) {
        if bytes.isEmpty { return }
        if let lostBytes { return self.lostBytes = lostBytes + bytes.count }
        var rest = bytes
        do throws(Retry.GivenUp) {
            try reopenIfRemoved()
            while !rest.isEmpty {
                let count = try retry.untilDone("unable to write to \(path)/current") {
                    () throws(SystemError) in try files.current.write(rest)
                }
                rest = UnsafeRawBufferPointer(rebasing: rest[count...])
            }
        } catch { return lostBytes = rest.count }
        behind += bytes.count
        if behind >= LogDirectory.writebackSize {
            behind = 0
            do throws(SystemError) { try startWriteback(files.current) } catch {}
        }
    }

    /// Archives `current`, through the processor if there is one, and starts a new one.
    mutating func rotate() {
        if lostBytes != nil { return }
        do throws(Retry.GivenUp) {
            let code = try secureCurrent()
            if let command = settings.processor {
                try movePrevious()
                try startCurrent()
                try process(command, code)
            } else {
                try archive.finish("current", code)
                try startCurrent()
            }
        } catch { lostBytes = 0 }
    }

    /// Brings `current` safely to disk and says so in its permissions, for the next start.
    mutating func end() {
        if lostBytes != nil { return }
        do throws(Retry.GivenUp) { _ = try secureCurrent() } catch { lostBytes = 0 }
    }

    /// Brings `current` safely to disk and marks it so; returns what can be said of the file that has
    /// this name, which may have been put in its place.
    private func secureCurrent() throws(Retry.GivenUp) -> Archive.Code {
        try retry.untilDone("unable to write \(path)/current to disk") { () throws(SystemError) in
            try synchronize(files.current)
        }
        return try retry.untilDone("unable to set mode of \(path)/current") {
            () throws(SystemError) in
            try setPermissions(files.current, LogDirectory.safeMode)
            let written = try status(of: files.current.number).identity
            return try archive.statusIfAny("current")?.identity == written ? .safe : .uncertain
        }
    }

    /// A file that was removed takes its lines with it: those that come go to a new one.
    private mutating func reopenIfRemoved() throws(Retry.GivenUp) {
        let number = files.current.number
        let links = try retry.untilDone("unable to stat \(path)/current") {
            () throws(SystemError) in try status(of: number).links
        }
        if links > 0 { return }
        retry.messages.warning("\(path)/current was removed, starting a new one")
        try startCurrent()
    }

    private func movePrevious() throws(Retry.GivenUp) {
        try retry.untilDone("unable to rename current to previous in directory \(path)") {
            () throws(SystemError) in
            do throws(SystemError) { try rename("current", to: "previous", in: directory) } catch {
                // Somebody removed it.
                if error.errno != .noEntry { throw error }
            }
        }
    }

    /// Makes a new `current`, and the directory too if it has been removed.
    private mutating func startCurrent() throws(Retry.GivenUp) {
        while true {
            do throws(SystemError) { return try files.startCurrent() } catch {
                guard error.errno == .noEntry else {
                    try retry.pause("unable to create \(path)/current", error.errno)
                    continue
                }
            }
            do throws(Failure) {
                retry.messages.warning("directory \(path) was removed, making it anew")
                return files = try OpenLogDirectory(settings, retry)
            } catch { try retry.pause(error.text, error.errno) }
        }
    }

    /// Archives what the processor makes of `previous`.
    private func process(_ command: ByteString, _ code: Archive.Code) throws(Retry.GivenUp) {
        guard let results = try processor.run(command, in: directory, path: path, archive, retry)
        else { return try archive.finish("previous", .uncertain) }
        try secure(results.output, "processed")
        try retry.untilDone("unable to set mode of \(path)/processed") { () throws(SystemError) in
            try setPermissions(results.output, LogDirectory.safeMode)
        }
        try secure(results.newState, "newstate")
        try retry.untilDone("unable to remove \(path)/previous") { () throws(SystemError) in
            do throws(SystemError) { try removeFile("previous", in: directory) } catch {
                if error.errno != .noEntry { throw error }
            }
        }
        try retry.untilDone("unable to rename newstate to state in directory \(path)") {
            () throws(SystemError) in
            do throws(SystemError) { try rename("newstate", to: "state", in: directory) } catch {
                guard error.errno == .noEntry else { throw error }
                // The processor removed it: there is nothing to remember.
                _ = try openFile("newstate", .createNew, in: directory)
                try rename("newstate", to: "state", in: directory)
            }
        }
        try archive.finish("processed", code)
    }

    /// Brings a file that a processor wrote to disk.
    private func secure(_ file: borrowing Descriptor, _ name: ByteString) throws(Retry.GivenUp) {
        while true {
            do throws(SystemError) { return try synchronize(file) } catch {
                try retry.pause("unable to write \(path)/\(name) to disk", error.errno)
            }
        }
    }
}
