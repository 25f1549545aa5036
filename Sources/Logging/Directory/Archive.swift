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

    /// The archive of the log directory open as `place`, which must stay open.
    init(_ place: Directory, _ settings: LogDirectorySettings, _ retry: Retry) {
        self.place = place
        path = settings.path
        count = settings.count
        self.retry = retry
    }

    /// Archives what a crash left behind, and starts an empty `state`. `processed` is whole once it
    /// is executable; before that, `previous` still has everything.
    func recover() throws(Failure) {
        discard("newstate")
        let processed = try require("unable to stat \(path)/processed") {
            () throws(SystemError) in try statusIfAny("processed")
        }
        do throws(Retry.GivenUp) {
            if let processed, processed.isMarkedSafe {
                discard("previous")
                try finish("processed", .safe)
            } else {
                discard("processed")
                try finish("previous", .uncertain)
            }
            try finish("current", .uncertain)
        } catch {
            throw Failure("unable to archive the files of a crash in \(path)")
        }
        _ = try require("unable to write to \(path)/state") { () throws(SystemError) in
            do throws(SystemError) { try removeFile("state", in: place) } catch {
                if error.errno != .noEntry { throw error }
            }
            return try openFile("state", .createNew, in: place)
        }
    }

    /// Gives `file`, if there is one, its archived name, and makes room: as many files as the script
    /// allows, `current` among them.
    func finish(_ file: ByteString, _ code: Code) throws(Retry.GivenUp) {
        let archived = try retry.untilDone("unable to archive \(path)/\(file)") {
            () throws(SystemError) -> (name: ByteString, among: ArchiveSurvey)? in
            guard let found = try statusIfAny(file) else { return nil }
            return try archive(file, found, code)
        }
        if let archived { try removeOldest(of: archived.among, but: archived.name) }
    }

    /// Renames `file` and returns its name in the archive, with the others there.
    private func archive(_ file: ByteString, _ found: FileStatus, _ code: Code)
        throws(SystemError) -> (name: ByteString, among: ArchiveSurvey)
    {
        var survey = try ArchiveSurvey(of: place)
        // Other members of the family link and unlink. A crash between leaves a file with two names.
        if found.links > 1, let newest = survey.newest?.name,
            try statusIfAny(newest)?.identity == found.identity
        {
            try removeFile(file, in: place)
            return (newest, survey)
        }
        let label = survey.label(at: LogEngine.currentTime())
        let name = ByteString(label.text + [UInt8(ascii: "."), code.rawValue])
        try rename(file, to: name, in: place)
        survey.add(name)
        return (name, survey)
    }

    /// Removes the oldest files while there are too many, never the one just archived. What cannot be
    /// removed is no reason to keep lines waiting, and is tried again with the next file.
    private func removeOldest(of found: ArchiveSurvey, but newest: ByteString)
        throws(Retry.GivenUp)
    {
        var survey = found
        // `current` is one of the files that are counted.
        while survey.count >= count {
            let excess = survey.count - Int(count) + 1
            let candidates = survey.oldest.prefix(excess).filter { $0 != newest }
            let failures = candidates.count { !remove($0) }
            if excess <= candidates.count || failures == candidates.count { return }
            // There are more than one look names.
            survey = try retry.untilDone("unable to read \(path)") { () throws(SystemError) in
                try ArchiveSurvey(of: place)
            }
        }
    }

    /// Removes an archived file, or says why it could not.
    private func remove(_ name: ByteString) -> Bool {
        do throws(SystemError) { try removeFile(name, in: place) } catch {
            if error.errno != .noEntry {
                retry.messages.warning("unable to remove \(path)/\(name)", error.errno)
                return false
            }
        }
        return true
    }

    /// The file's status, a link's its own; nil when there is no such file.
    func statusIfAny(_ file: ByteString) throws(SystemError) -> FileStatus? {
        do throws(SystemError) {
            return try status(of: file, in: place, followLinks: false)
        } catch {
            if error.errno == .noEntry { return nil }
            throw error
        }
    }

    /// Removes a file that should not be there. Where that fails the next step on the file does too,
    /// and says so.
    func discard(_ file: ByteString) {
        do throws(SystemError) { try removeFile(file, in: place) } catch {}
    }
}

extension FileStatus {
    /// Whether it is a log file that is executable by its owner, which means safely on disk, and has no
    /// other name under which it may be something else.
    var isMarkedSafe: Bool { isRegular && links == 1 && mode & 0o100 != 0 }
}

/// Does `body`, which multilog cannot start without; `trouble` is what it is unable to do.
func require<Value: ~Copyable>(
    _ trouble: @autoclosure () -> ByteString, _ body: () throws(SystemError) -> Value
) throws(Failure) -> Value {
    do throws(SystemError) { return try body() } catch { throw error.explained(trouble()) }
}
