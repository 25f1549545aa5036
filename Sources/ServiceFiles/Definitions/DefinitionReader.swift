import Bytes
import Commands
import Linux
import Services

/// Reads what a service directory asks for, in whichever of the dialects, and in any mixture of them that has no
/// contradiction in it. What `settings` says goes before what the files of others say.
///
/// The directory's names are read once, and then only files that are there. Whatever cannot be read is a problem,
/// keeps nothing else from being read, and leaves its default. No link is followed that `openTrusted` would not
/// follow, and no more than `longest` bytes of a file are read.
///
/// `finish` is told of a death in s6's way if the directory has a file that only s6 knows, or s6-rc's `type`, and else
/// in runit's, unless `settings` has `finish-arguments`. In s6's way it has five seconds unless something says
/// otherwise. What else s6-rc reads counts only beside a `type`, without which s6-rc takes no directory.
public final class DefinitionReader {
    /// The most bytes of a file.
    static let longest = 65_536
    /// The most names in `dependencies.d` and its like.
    static let mostNames = 4096
    /// No more problems than this are told of a directory.
    static let mostProblems = 100
    /// s6's limit for `finish`, in nanoseconds.
    static let finishLimitOfS6: UInt64 = 5_000_000_000

    /// What the directory asks for.
    public internal(set) var definition = ServiceDefinition.plain
    /// What is wrong in it.
    public internal(set) var problems: [DefinitionProblem] = []
    /// Whether the directory could not be read at all, which may be only for now.
    public private(set) var isUnreadable = false
    /// The lines of its `settings`.
    public private(set) var settings = Settings([])
    /// Whether it is to start down: it has a `down` that is not the program of a one-shot.
    public internal(set) var isDown = false

    /// The directory, as long as whoever called keeps it open.
    let place: Directory
    let name: ByteString
    /// Where s6-rc's files name other services.
    private var mentions: [Mention] = []
    private(set) var files = DefinitionFiles()

    /// What the service directory open as `place` asks for, and all that is wrong in it. `name` is the service's,
    /// which begins the file names of problems.
    public static func read(_ place: Directory, name: ByteString)
        -> (definition: ServiceDefinition, problems: [DefinitionProblem])
    {
        let reader = DefinitionReader(place, name: name)
        return (reader.definition, reader.problems)
    }

    /// Reads the service directory open as `place`, called `name` in problems.
    public init(_ place: Directory, name: ByteString) {
        self.place = place
        self.name = name
        guard readNames() else {
            isUnreadable = true
            return
        }
        isDown = files.contains(.down)
        if files.contains(.settings), let content = content(of: .settings) {
            settings = Settings(content)
        }
        let type = readType()
        if files.areOfS6 || type != nil { readS6() }
        if let type { readS6RC(type) } else { complainOfMissingType() }
        for problem in settings.apply(to: &definition) {
            complain(.settings, problem.line, problem.text)
        }
        limitFinish()
        findPrograms()
    }

    /// Whether the directory has a file of this name.
    public func contains(_ file: DefinitionFile) -> Bool { files.contains(file) }

    /// The file and the line with a value of a setting that `DependencyGraph` finds fault with, also where s6-rc's
    /// files say the same; the directory itself where none does.
    public func source(of problem: DependencyGraph.Problem) -> (file: ByteString, line: Int) {
        if let line = settings.line(of: problem.setting, naming: problem.value) {
            return ("\(name)/\(DefinitionFile.settings.name)", line)
        }
        for mention in mentions
        where mention.setting == problem.setting && mention.value == problem.value {
            return ("\(name)/\(mention.file)", mention.line)
        }
        return (name, 0)
    }

    private struct Mention {
        let setting: ByteString
        let value: ByteString
        let file: ByteString
        let line: Int
    }

    /// Remembers where a value is from.
    func note(_ setting: ByteString, _ value: ByteString, _ file: ByteString, _ line: Int) {
        mentions.append(Mention(setting: setting, value: value, file: file, line: line))
    }

    // MARK: The directory

    /// Notes which files there are; false where that cannot be told.
    private func readNames() -> Bool {
        var files = DefinitionFiles()
        do throws(SystemError) {
            try forEachEntry(of: ".", in: place) { name, isDirectory in
                guard let file = DefinitionFile(named: name) else { return }
                // A directory by the name of a file is none of these. What is no directory may be a link to one.
                if let isDirectory, isDirectory, !file.isDirectory { return }
                files.insert(file)
            }
            self.files = files
            return true
        } catch {
            let text: ByteString = "unable to read directory: \(error.errno.text)"
            problems.append(DefinitionProblem(file: name, text: text))
            return false
        }
    }

    /// Gives `finish` the time that is usual where `settings` says how it is called and nothing says how long it may take.
    private func limitFinish() {
        if settings.contains(.finishArguments), !settings.contains(.finishTimeout),
            !files.contains(.timeoutFinish)
        {
            definition.finishLimit =
                definition.dialect == .s6 ? DefinitionReader.finishLimitOfS6 : nil
        }
    }

    /// Notes which programs the directory has. Whether those that every dialect has can be executed is told when they
    /// are; the names of encore's are so common that a file is one only if it can be.
    private func findPrograms() {
        var programs: ServiceDefinition.Programs = []
        if definition.kind == .bundle {
            definition.programs = programs
            return
        }
        if files.contains(.finish) { programs.insert(.finish) }
        if files.contains(.control) {
            programs.insert(.control)
            if status(at: "control/u")?.isProgram == true { programs.insert(.announce) }
        }
        if isProgram(.start) { programs.insert(.start) }
        if isProgram(.stop) { programs.insert(.stop) }
        if isProgram(.notify) { programs.insert(.notify) }
        // encore does without `run` where there is `start`. Anybody else is told at the start that it is missing.
        if files.contains(.run) || !programs.contains(.start) { programs.insert(.run) }
        if definition.kind == .oneshot { findUndoing(&programs) }
        definition.programs = programs
    }

    /// What a one-shot does and undoes. Its `down` is no wish to start down, unless it is empty.
    private func findUndoing(_ programs: inout ServiceDefinition.Programs) {
        if files.contains(.up) { programs.insert(.up) }
        guard files.contains(.down), let status = status(of: .down) else { return }
        isDown = status.size == 0
        if isDown { return }
        // s6-rc's is a command line.
        if status.isProgram || files.contains(.type) {
            programs.insert(.down)
        } else {
            complain(.down, 0, "not executable, so that nothing is undone")
        }
    }

    /// Whether there is a logger of its own.
    var hasLogger: Bool { status(at: "log")?.isDirectory == true || hasLogFile }

    /// Whether that is a program of this directory.
    var hasLogFile: Bool { status(at: "log")?.isProgram == true }

    private func isProgram(_ file: DefinitionFile) -> Bool {
        files.contains(file) && status(of: file)?.isProgram ?? false
    }

    // MARK: Files

    /// What a file is, links followed; nil, which is said, where that cannot be told.
    private func status(of file: DefinitionFile) -> FileStatus? {
        do throws(SystemError) { return try Linux.status(of: file.name, in: place) } catch {
            if error.errno != .noEntry { complain(file, 0, ByteString(error.errno.text)) }
            return nil
        }
    }

    /// What a path in the directory is; nil where that cannot be told, which whoever needs it will say.
    private func status(at path: ByteString) -> FileStatus? {
        do throws(SystemError) { return try Linux.status(of: path, in: place) } catch { return nil }
    }

    /// The content of a file; nil, which is said, where it cannot be read.
    func content(of file: DefinitionFile) -> [UInt8]? {
        do throws(SystemError) {
            let descriptor = try openTrusted(file.name, .read, in: place)
            guard try Linux.status(of: descriptor.number).isRegular else {
                throw SystemError("open", .notRegular)
            }
            return try contents(of: descriptor.number, limit: DefinitionReader.longest)
        } catch {
            // It went since the names were read, which will be seen by the next to read them.
            if error.errno == .noEntry { return nil }
            let text: ByteString =
                error.errno == .fileTooBig
                ? "longer than \(DefinitionReader.longest) bytes" : ByteString(error.errno.text)
            complain(file, 0, text)
            return nil
        }
    }

    /// The names in a directory.
    func names(in file: DefinitionFile) -> [ByteString] {
        var names: [ByteString] = []
        do throws(SystemError) {
            let directory = try openTrusted(file.name, .place, in: place)
            try forEachEntry(of: ".", in: Directory(directory)) { name, _ in
                if names.count < DefinitionReader.mostNames && !name.hasPrefix(".") {
                    names.append(name)
                }
            }
        } catch { complain(file, 0, ByteString(error.errno.text)) }
        return names
    }

    /// Adds a problem of a file.
    func complain(_ file: DefinitionFile, _ line: Int, _ text: ByteString) {
        if problems.count == DefinitionReader.mostProblems { return }
        problems.append(DefinitionProblem(file: "\(name)/\(file.name)", line: line, text: text))
    }
}

extension FileStatus {
    /// Whether it is a regular file that its owner may execute.
    public var isProgram: Bool { isRegular && mode & 0o100 != 0 }
}
