import Bytes
import Commands
import Formats
import Linux

/// A log directory of svlogd, open and locked: `current`, its permissions and how it becomes an old file are
/// multilog's, and so is what happens to files that a crash left. It differs in what it is told by `config`, and in
/// processing full files in the background.
struct SvlogdDirectory: LogPlace, ~Copyable {
    let initialBytes: Int
    private(set) var lostBytes: Int?
    /// What `config` says.
    let settings: SvlogdSettings
    /// The processor that is at work.
    private(set) var job: ProcessorJob?

    private let path: ByteString
    private var place: Descriptor
    private var lockFile: Descriptor
    private var current: Descriptor
    private let processor: Processor
    private let retry: Retry
    private let voice: SvlogdVoice
    /// The length of `current`.
    private var size: Int
    private var behind = 0

    private static let writebackSize = 1 << 20
    /// More than any file for people needs.
    private static let configLimit = 1 << 20
    /// The length of `@`, the label, a dot and a letter.
    private static let nameCount = TAI64N.textCount + 2

    /// Opens and locks the directory `path`, which must be there, and reads its `config`. `job` is the processor
    /// that is at work there since it was open before.
    init(
        _ path: ByteString, _ job: ProcessorJob?, _ processor: Processor, _ retry: Retry,
        _ voice: SvlogdVoice
    ) throws(Failure) {
        let place = try SvlogdDirectory.open(path)
        let lockFile = try SvlogdDirectory.takeLock(in: Directory(place), path)
        let settings = SvlogdDirectory.readConfig(in: Directory(place), path, voice)
        let left = try require("unable to stat current: \(path)") { () throws(SystemError) in
            try SvlogdDirectory.statusIfAny("current", in: Directory(place))
        }
        // What is no file, a link above all, is nobody's log, and not to be archived: opening it tells.
        let goesOn = left.map { $0.isMarkedSafe || $0.size == 0 || !$0.isRegular } ?? false
        if left != nil && !goesOn {
            try SvlogdDirectory.archive(in: Directory(place), path, settings, job, voice)
        }
        let current = try require("unable to open current: \(path)") { () throws(SystemError) in
            goesOn
                ? try SvlogdDirectory.goOn(in: Directory(place))
                : try SvlogdDirectory.make(in: Directory(place))
        }
        voice.tell(goesOn ? "append: \(path)/current" : "new: \(path)/current")
        initialBytes = goesOn ? left?.size ?? 0 : 0
        size = initialBytes
        self.settings = settings
        self.current = current
        self.path = path
        self.place = place
        self.lockFile = lockFile
        self.job = job
        self.processor = processor
        self.retry = retry
        self.voice = voice
    }

    private static func goOn(in place: Directory) throws(SystemError) -> Descriptor {
        let file = try openRegularFile("current", .append, in: place)
        try setPermissions(file, LogDirectory.unsafeMode)
        return file
    }

    /// Archives a `current` that a crash left.
    private static func archive(
        in place: Directory, _ path: ByteString, _ settings: SvlogdSettings, _ job: ProcessorJob?,
        _ voice: SvlogdVoice
    ) throws(Failure) {
        try require("unable to rename current: \(path)") { () throws(SystemError) in
            let files = try survey(place).files
            let label = ByteString(files.label(at: LogEngine.currentTime()).text)
            try rename("current", to: "\(label).u", in: place)
        }
        removeOldest(in: place, path, settings, sparing: job?.label, voice)
    }

    /// Root follows no link that another user may have made to have something else overwritten.
    private static func open(_ path: ByteString) throws(Failure) -> Descriptor {
        let isRoot = CurrentProcess.effectiveUser == 0
        return try require("unable to open log directory: \(path)") { () throws(SystemError) in
            isRoot ? try openTrusted(path, .directory) : try openFile(path, .directory)
        }
    }

    private static func takeLock(in place: Directory, _ path: ByteString) throws(Failure)
        -> Descriptor
    {
        try require("unable to lock directory: \(path)") { () throws(SystemError) in
            let file = try openRegularFile("lock", .append, in: place)
            try lock(file, wait: false)
            return file
        }
    }

    private static func readConfig(in place: Directory, _ path: ByteString, _ voice: SvlogdVoice)
        -> SvlogdSettings
    {
        var settings = SvlogdSettings()
        do throws(SystemError) {
            settings = SvlogdSettings(try contents(of: "config", limit: configLimit, in: place))
            voice.tell("read: \(path)/config")
            for complaint in settings.complaints { voice.messages.warning(complaint) }
        } catch {
            if error.errno != .noEntry {
                voice.messages.warning("unable to read config: \(path)", error.errno)
            }
        }
        return settings
    }

    // MARK: - Writing

    mutating func write(_ bytes: UnsafeRawBufferPointer) {
        if bytes.isEmpty { return }
        if let lostBytes { return self.lostBytes = lostBytes + bytes.count }
        var rest = bytes
        do throws(Retry.GivenUp) {
            try reopenIfRemoved()
            while !rest.isEmpty {
                let count = try writeSome(rest)
                size += count
                rest = UnsafeRawBufferPointer(rebasing: rest[count...])
            }
        } catch { return lostBytes = rest.count }
        behind += bytes.count
        if behind >= SvlogdDirectory.writebackSize {
            behind = 0
            do throws(SystemError) { try startWriteback(current) } catch {}
        }
    }

    private mutating func writeSome(_ bytes: UnsafeRawBufferPointer) throws(Retry.GivenUp) -> Int {
        while true {
            do throws(SystemError) { return try current.write(bytes) } catch {
                if error.errno == .noSpace && makeSpace() { continue }
                try retry.pause("unable to write to current: \(path)", error.errno)
            }
        }
    }

    /// Removes the oldest file, if `config` has it that a full disk leaves fewer.
    private func makeSpace() -> Bool {
        guard settings.leastCount < settings.count else { return false }
        do throws(SystemError) {
            let files = try SvlogdDirectory.survey(Directory(place)).files
            guard files.count > settings.leastCount, let oldest = files.oldest.first else {
                return false
            }
            voice.messages.warning("out of disk space, delete: \(path)/\(oldest)")
            try removeFile(oldest, in: Directory(place))
            return true
        } catch {
            voice.messages.warning("unable to unlink oldest logfile: \(path)", error.errno)
            return false
        }
    }

    /// A file that was removed takes its lines with it: those that come go to a new one.
    private mutating func reopenIfRemoved() throws(Retry.GivenUp) {
        let number = current.number
        let links = try retry.untilDone("unable to stat current: \(path)") {
            () throws(SystemError) in try status(of: number).links
        }
        if links > 0 { return }
        retry.messages.warning("\(path)/current was removed, starting a new one")
        try startCurrent()
    }

    // MARK: - Rotation

    mutating func rotate() {
        if lostBytes != nil { return }
        do throws(Retry.GivenUp) {
            try job?.waitUntilDone(retry)
            job = nil
            try secureCurrent()
            let name = try renameCurrent()
            try startCurrent()
            let label = ByteString(name.bytes.prefix(TAI64N.textCount))
            SvlogdDirectory.removeOldest(
                in: Directory(place), path, settings, sparing: label, voice)
            if let command = settings.processor {
                job = try retry.untilDone("unable to start processor: \(path)") {
                    () throws(SystemError) in
                    try ProcessorJob(command, label, in: Directory(place), path, processor, voice)
                }
            }
        } catch { lostBytes = 0 }
    }

    /// Takes note of a processor's end, and starts it again when it is time to.
    mutating func tendProcessor() {
        guard lostBytes == nil, let job else { return }
        job.startIfDue()
        do throws(Retry.GivenUp) { if try job.isDone(retry) { self.job = nil } } catch {
            lostBytes = 0
        }
    }

    mutating func end() {
        if lostBytes != nil { return }
        do throws(Retry.GivenUp) { try secureCurrent() } catch { lostBytes = 0 }
    }

    /// Waits until no processor is at work.
    mutating func endProcessor() {
        guard let job else { return }
        self.job = nil
        // It has been said.
        do throws(Retry.GivenUp) { try job.waitUntilDone(retry) } catch {}
    }

    private func secureCurrent() throws(Retry.GivenUp) {
        try retry.untilDone("unable to fsync current logfile: \(path)") { () throws(SystemError) in
            try synchronize(current)
        }
        try retry.untilDone("unable to set mode of current: \(path)") { () throws(SystemError) in
            try setPermissions(current, LogDirectory.safeMode)
        }
    }

    private func renameCurrent() throws(Retry.GivenUp) -> ByteString {
        let letter: StaticString = settings.processor == nil ? "s" : "u"
        return try retry.untilDone("unable to rename current: \(path)") {
            () throws(SystemError) in
            let survey = try SvlogdDirectory.survey(Directory(place)).files
            let label = ByteString(survey.label(at: LogEngine.currentTime()).text)
            let name: ByteString = "\(label).\(letter)"
            voice.tell("rename: \(path)/current \(name) \(size)")
            do throws(SystemError) {
                try rename("current", to: name, in: Directory(place))
            } catch {
                // Somebody removed it.
                if error.errno != .noEntry { throw error }
            }
            return name
        }
    }

    /// Makes a new `current`; in a directory that was removed, once there is one again.
    private mutating func startCurrent() throws(Retry.GivenUp) {
        while true {
            do throws(SystemError) {
                current = try SvlogdDirectory.make(in: Directory(place))
                return size = 0
            } catch {
                if error.errno == .noEntry {
                    do throws(Failure) {
                        let place = try SvlogdDirectory.open(path)
                        lockFile = try SvlogdDirectory.takeLock(in: Directory(place), path)
                        self.place = place
                        continue
                    } catch {}
                }
                try retry.pause("unable to create new current: \(path)", error.errno)
            }
        }
    }

    // MARK: - Files

    /// A new `current` in place of whatever has the name.
    private static func make(in place: Directory) throws(SystemError) -> Descriptor {
        let file: Descriptor
        do throws(SystemError) {
            file = try openFile("current", .createAppending, in: place)
        } catch {
            if error.errno != .exists { throw error }
            try removeFile("current", in: place)
            file = try openFile("current", .createAppending, in: place)
        }
        try setPermissions(file, LogDirectory.unsafeMode)
        return file
    }

    private static func statusIfAny(_ file: ByteString, in place: Directory) throws(SystemError)
        -> FileStatus?
    {
        do throws(SystemError) {
            return try status(of: file, in: place, followLinks: false)
        } catch {
            if error.errno == .noEntry { return nil }
            throw error
        }
    }

    /// The old files, and what processors left that did not come to an end. The file of `label` that is to be processed
    /// is no old one yet.
    private static func survey(_ place: Directory, pending label: ByteString? = nil)
        throws(SystemError) -> (files: ArchiveSurvey, leftovers: [ByteString])
    {
        let pending = label.map { "\($0).u" as ByteString }
        var leftovers: [ByteString] = []
        let files = try ArchiveSurvey(of: place) { name in
            guard name.count == nameCount, name[0] == UInt8(ascii: "@") else { return false }
            if name[nameCount - 1] == UInt8(ascii: "t") {
                leftovers.append(name)
                return false
            }
            return name != pending
        }
        return (files, leftovers)
    }

    /// Removes leftovers, and the oldest file if there are too many. A file of `label` is spared: it is the newest, or
    /// is being processed.
    private static func removeOldest(
        in place: Directory, _ path: ByteString, _ settings: SvlogdSettings,
        sparing label: ByteString?, _ voice: SvlogdVoice
    ) {
        func isSpared(_ name: ByteString) -> Bool { label.map { name.hasPrefix($0) } ?? false }
        do throws(SystemError) {
            let (files, leftovers) = try survey(place, pending: label)
            for name in leftovers where !isSpared(name) {
                do throws(SystemError) { try removeFile(name, in: place) } catch {
                    voice.messages.warning(
                        "unable to unlink processor leftover: \(name)", error.errno)
                }
            }
            guard settings.count > 0, files.count > settings.count,
                let oldest = files.oldest.first(where: { !isSpared($0) })
            else { return }
            voice.tell("delete: \(path)/\(oldest)")
            do throws(SystemError) { try removeFile(oldest, in: place) } catch {
                voice.messages.warning("unable to unlink oldest logfile: \(path)", error.errno)
            }
        } catch { voice.messages.warning("unable to read directory: \(path)", error.errno) }
    }
}
