import Bytes
import Commands
import Formats
import Linux
import ServiceFiles
import Services

extension Invocation {
    /// Whether the program is where it is looked for.
    fileprivate var isThere: Bool {
        candidates.contains { path in
            do throws(SystemError) { return try exists(path) } catch { return false }
        }
    }
}

extension Place {
    /// Whether it is a logger that runs in the directory of its service, open as `directory`, and not in one of its own.
    func isLogFile(in directory: borrowing Descriptor) -> Bool {
        guard case .logger(_, let entry) = self else { return false }
        do throws(SystemError) {
            return FileID(try status(of: directory.number).identity) == entry
        } catch { return false }
    }
}

/// A supervised service's directory with the files of its `supervise`, and what was last written there.
final class OpenService {
    /// Its name in messages.
    let name: ByteString
    /// Where it was found.
    let place: Place
    /// Whether it is a logger that is a file of its service's directory.
    let isLogFile: Bool
    private var directory: ServiceDirectory
    /// A checksum of what was last written there; 0 before.
    private var written: UInt64 = 0
    private var trouble = Errno(0)
    private var problems: [DefinitionProblem] = []
    /// Whether its `down`, if there is one, means that it is not to be started by itself: a one-shot's may be a program.
    private(set) var isDownFile = false
    /// The process that was last started for it.
    var process: ProcessID = 0
    /// The pipes to the logger that services share, once it writes to one.
    var output: ServiceOutput?
    /// Its definition's source, if there is more to it than `run`.
    var source: DefinitionReader? {
        if mustReadSource {
            mustReadSource = false
            let reader = DefinitionReader(Directory(directory.place), name: name)
            knownSource = reader.isUnreadable ? nil : reader
        }
        return knownSource
    }
    private var knownSource: DefinitionReader?
    /// After an exec, until somebody asks.
    private var mustReadSource = false
    /// What it has besides, if its directory asks for more than `run`.
    private(set) var extras: ServiceExtras?

    init(
        name: ByteString, place: Place, directory: consuming ServiceDirectory,
        isLogFile: Bool = false
    ) {
        self.name = name
        self.place = place
        self.isLogFile = isLogFile
        self.directory = directory
    }

    /// One that another image of this process had open. With a definition it has more than `run`.
    init(
        adopting directory: consuming ServiceDirectory, name: ByteString, place: Place,
        isDownFile: Bool, isDefined: Bool
    ) {
        self.name = name
        self.place = place
        isLogFile = place.isLogFile(in: directory.place)
        isAnnounced = directory.numbers.ok >= 0
        self.directory = directory
        self.isDownFile = isDownFile
        mustReadSource = isDefined
        if isDefined { extras = ServiceExtras() }
    }

    /// What an earlier supervisor left running, until the first start.
    private(set) var predecessor: Predecessor?
    /// What tells of the end of a process that is no child of this one.
    private var watch: Descriptor?
    /// Which process that is; 0 for none.
    private(set) var watched: ProcessID = 0

    /// Begins to watch for the end of a process; returns the number to wait on, which stays this object's.
    func beginWatch(_ pid: ProcessID) throws(SystemError) -> Int32 {
        let opened = try openProcess(pid)
        let number = opened.number
        watch = consume opened
        watched = pid
        return number
    }

    /// Whether that process has ended, which may not have been noticed yet.
    var hasWatchedEnded: Bool {
        switch watch {
        case .some(let watch):
            var awaited = [Awaited(watch.number, .read)]
            do throws(SystemError) { try poll(&awaited, milliseconds: 0) } catch { return false }
            return awaited[0].isReady
        case .none: return false
        }
    }

    /// Ends that.
    func endWatch() {
        watch = nil
        watched = 0
    }

    /// Sees what an earlier supervisor left, before its status file is replaced.
    func findPredecessor() {
        guard let found = Predecessor(directory.lastStatus) else { return }
        do throws(SystemError) {
            if found.isThere(in: try identity()) { predecessor = found }
        } catch {}
    }

    /// Goes on with what another image of this process found.
    func adopt(predecessor: Predecessor) { self.predecessor = predecessor }

    /// After a start, whatever came of it.
    func forgetPredecessor() { predecessor = nil }

    /// Whether the status file that an earlier supervisor left tells of the process that runs. Whoever comes next must
    /// find it so at any time.
    private var isTakenOver = false

    /// What an earlier supervisor left, if it is still there; it is told once.
    func takePredecessor() -> Predecessor? {
        defer { predecessor = nil }
        do throws(SystemError) {
            guard let predecessor, predecessor.isThere(in: try identity()) else { return nil }
            isTakenOver = true
            return predecessor
        } catch { return nil }
    }

    /// Whether svok has been told of it.
    private(set) var isAnnounced = false

    /// What is held of it.
    func fact(_ id: ServiceID) -> HeldFact {
        let numbers = directory.numbers
        return .service(
            id, name: name, place,
            HeldFact.ServiceNumbers(
                place: directory.place.number, supervise: numbers.supervise, lock: numbers.lock,
                control: numbers.control, ok: numbers.ok), isDownFile: isDownFile)
    }

    /// The open directory's number.
    var directoryNumber: Int32 { directory.place.number }

    /// The control FIFO's number; nil when there is none.
    var control: Int32? { directory.control }

    /// Whether the directory holds `name`; false also when that cannot be told.
    func holds(_ name: ByteString) -> Bool {
        do throws(SystemError) { return try exists(name, in: Directory(directory.place)) } catch {
            return false
        }
    }

    /// Whether a path in the directory is a program, which its owner may execute.
    func hasProgram(_ path: ByteString) -> Bool {
        do throws(SystemError) {
            return try Linux.status(of: path, in: Directory(directory.place)).isProgram
        } catch { return false }
    }

    /// Why `run` could not be executed, if the error number does not tell.
    func explain(execFailure errno: Errno) -> ByteString? {
        Linux.explain(
            execFailure: errno, path: isLogFile ? "log" : "run", in: Directory(directory.place))
    }

    /// What the directory asks for; nil for nothing but `run`. What is wrong with it is said once.
    func readDefinition(_ messages: Messages) -> ServiceDefinition? {
        if isLogFile {
            // All but `down` is for the service.
            isDownFile = true
            return nil
        }
        let reader = DefinitionReader(Directory(directory.place), name: name)
        // Where descriptors are short, what was known stays true.
        if reader.isUnreadable { return source?.definition }
        var definition = reader.definition
        // runit asks a logger's `control` nothing.
        if case .logger = place { definition.programs.subtract([.control, .announce]) }
        isDownFile = reader.isDown
        mustReadSource = false
        knownSource = definition == .plain ? nil : reader
        for problem in reader.problems where !problems.contains(problem) {
            messages.warning(problem.description)
        }
        problems = reader.problems
        if definition != .plain && extras == nil { extras = ServiceExtras() }
        return definition == .plain ? nil : definition
    }

    /// The program of a launch with its arguments and environment; adds to `setup` what it is given besides.
    func prepare(_ launch: Launch, _ base: Environment, _ setup: inout ChildSetup) throws(Failure)
        -> PreparedProgram
    {
        var environment = base
        if let extras {
            environment = try extras.environment(launch, base, name)
            try extras.prepare(launch, name, &setup)
        }
        do throws(SystemError) {
            let invocation = try launch.invocation(
                name: name, in: Directory(directory.place), environment)
            if invocation.program != CommandLine.interpreter || invocation.isThere {
                return PreparedProgram(invocation)
            }
        } catch {
            throw Failure("unable to read \(name)/\(error.subject)", error.errno)
        }
        let file: ByteString = launch.role == .undo ? "down" : "up"
        throw Failure(
            "unable to run \(name)/\(file): it is a script of execline, and there is no execlineb",
            .noEntry)
    }

    /// Opens the sockets that it is started by, and returns their numbers, which stay this object's; none where that fails.
    func openSockets() -> [Int32] {
        guard let extras, let source else { return [] }
        do throws(SystemError) { try extras.held.open(source.definition.sockets) } catch {
            return []
        }
        return extras.held.socketNumbers
    }

    /// Which directory is held. fstat(2).
    func identity() throws(SystemError) -> FileStatus.Identity {
        try status(of: directory.place.number).identity
    }

    /// Writes the status file, unless that would not change it. A failure is a warning, and the same failure
    /// only one. The first time, svok is told afterwards that the service is supervised.
    func write(_ status: StatusRecord, asRunit: Bool, _ messages: Messages) {
        let checksum = OpenService.checksum(status)
        if directory.control == nil || checksum == written { return }
        // Until its process is taken over, the file tells whoever supervises it next of that.
        if predecessor != nil && status.pid == 0 && status.want == StatusRecord.wantsUp {
            return announce(messages)
        }
        do throws(Failure) {
            if isAnnounced || isTakenOver {
                try directory.write(status, name: name)
            } else {
                try directory.writeFirst(status, name: name)
            }
            written = checksum
            if asRunit { try writeFilesOfRunit(status) }
            trouble = Errno(0)
        } catch {
            let errno = error.errno ?? Errno(0)
            if errno != trouble { messages.warning(error.text, error.errno) }
            trouble = errno
        }
        announce(messages)
    }

    /// The process and the state, in words.
    private func writeFilesOfRunit(_ status: StatusRecord) throws(Failure) {
        guard let runit = RunitStatus(status.bytes) else { return }
        do throws(SystemError) {
            let pid: ByteString = runit.hasProcess ? "\(status.pid)\n" : ""
            try directory.replace("pid", with: pid)
            try directory.replace("stat", with: "\(runit.words)\n")
        } catch {
            throw error.explained("unable to write \(name)/supervise/\(error.subject)")
        }
    }

    /// FNV-1a. Two states in a row that differ and have the same one are not to be expected in the age of the world.
    private static func checksum(_ status: StatusRecord) -> UInt64 {
        status.bytes.reduce(0xcbf2_9ce4_8422_2325) { ($0 ^ UInt64($1)) &* 0x100_0000_01b3 }
    }

    private func announce(_ messages: Messages) {
        if isAnnounced { return }
        isAnnounced = true
        do throws(SystemError) { try directory.announce() } catch {
            messages.warning("unable to read \(name)/supervise/ok", error.errno)
        }
    }
}
