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
/// `finish` is told of a death in s6's way if the directory has a file that only s6 or s6-rc knows, and else in
/// runit's, unless `settings` has `finish-arguments`. In s6's way it has five seconds unless something says otherwise.
public struct DefinitionReader {
    /// The most bytes of a file.
    static let longest = 65_536
    /// The most names in `dependencies.d` and its like.
    static let mostNames = 4096
    /// s6's limit for `finish`, in nanoseconds.
    static let finishLimitOfS6: UInt64 = 5_000_000_000

    /// What the directory asks for.
    public internal(set) var definition = ServiceDefinition.plain
    /// What is wrong in it.
    public internal(set) var problems: [DefinitionProblem] = []
    /// The lines of its `settings`.
    public private(set) var settings = Settings([])
    /// Whether it is to start down: it has a `down` that is not the program of a one-shot.
    public internal(set) var isDown = false

    let place: Directory
    let name: ByteString
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
        guard readNames() else { return }
        isDown = files.contains(.down)
        if files.contains(.settings), let content = content(of: .settings) {
            settings = Settings(content)
        }
        if files.areOfS6 {
            readS6()
            readS6RC()
        }
        for problem in settings.apply(to: &definition) {
            complain(.settings, problem.line, problem.text)
        }
        limitFinish()
        findPrograms()
    }

    /// Whether the directory has a file of this name.
    public func contains(_ file: DefinitionFile) -> Bool { files.contains(file) }

    // MARK: The directory

    /// Notes which files there are; false where that cannot be told.
    private mutating func readNames() -> Bool {
        var files = DefinitionFiles()
        do throws(SystemError) {
            try forEachEntry(of: ".", in: place) { name, isDirectory in
                guard let file = DefinitionFile(named: name) else { return }
                // A file by the name of a directory, or the other way round, is none of these.
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

    private mutating func limitFinish() {
        let isLimited = files.contains(.timeoutFinish) || settings.contains(.finishTimeout)
        if files.areOfS6, !settings.contains(.finishArguments) { definition.dialect = .s6 }
        if definition.dialect == .s6, !isLimited || definition.finishLimit == failedLimit {
            definition.finishLimit = DefinitionReader.finishLimitOfS6
        }
    }
}
