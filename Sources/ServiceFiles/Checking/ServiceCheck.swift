import Bytes
import Commands
import Linux
import Services

/// Looks for what is wrong in service directories, with the eyes of the supervisor and of the kernel: definitions, who
/// needs whom, programs, and who could change them.
public struct ServiceCheck {
    /// What was found, service by service.
    public private(set) var problems: [DefinitionProblem] = []

    private let path: ByteString
    private var definitions: [ByteString: ServiceDefinition] = [:]
    /// The services whose problems are asked for; not those that they merely name.
    private var asked: [(name: ByteString, reader: DefinitionReader)] = []
    private var directories: [FileStatus.Identity: ByteString] = [:]
    private var states: [FileStatus.Identity: ByteString] = [:]
    private let places: StatePlaces

    /// Checks the directory at `path`: a service directory if it has a `run`, `settings`, `type` or `start`, whose
    /// services are looked for beside it; else a scan directory with all its services. Throws where it cannot be
    /// looked at. State may be in one of `places`.
    public init(_ path: ByteString, states places: StatePlaces) throws(SystemError) {
        self.places = places
        let path = path.withoutTrailingSlashes
        self.path = path
        let place = try openFile(path, .place)
        let reader = DefinitionReader(Directory(place), name: path)
        if reader.isOfService {
            let (parent, name) = try splitServicePath(path, place)
            definitions[name] = reader.definition
            asked = [(name, reader)]
            check(name, reader, at: path)
            findOthers(named: reader.definition, in: parent)
        } else {
            try checkServices(in: Directory(place))
        }
        checkGraph()
    }

    // MARK: Services

    private mutating func checkServices(in place: Directory) throws(SystemError) {
        checkAccess(path, try status(of: ".", in: place))
        var names = try entries(of: ".", in: place)
        names.sortByBytes()
        for name in names where !name.hasPrefix(".") {
            let path: ByteString = "\(self.path)/\(name)"
            do throws(SystemError) {
                let found = try status(of: name, in: place)
                guard found.isDirectory else { continue }
                if let other = directories[found.identity] {
                    complain(path, "the same directory as \(other.visible)")
                    continue
                }
                directories[found.identity] = name
                let directory = try openFile(name, .place, in: place)
                let reader = DefinitionReader(Directory(directory), name: path)
                definitions[name] = reader.definition
                asked.append((name, reader))
                if name.contains(UInt8(ascii: "\n")) {
                    complain(path, "a newline is in the name, so that no setting can name it")
                }
                check(name, reader, at: path)
            } catch {
                complain(path, ByteString(error.errno.text))
            }
        }
    }

    /// Checks a service, and its logger.
    private mutating func check(_ name: ByteString, _ reader: DefinitionReader, at path: ByteString)
    {
        problems += reader.problems
        checkFiles(reader, at: path, isLogger: false)
        guard let log = look(at: "log", reader.place, path) else { return }
        let logPath: ByteString = "\(path)/log"
        // daemontools-encore's, which is checked with the other programs.
        if log.isProgram { return }
        if !log.isDirectory { return complain(logPath, ByteString(Errno.notDirectory.text)) }
        do throws(SystemError) {
            let directory = try openFile("log", .place, in: reader.place)
            let logger = DefinitionReader(Directory(directory), name: logPath)
            problems += logger.problems
            checkFiles(logger, at: logPath, isLogger: true)
        } catch { complain(logPath, ByteString(error.errno.text)) }
    }

    private mutating func checkFiles(
        _ reader: DefinitionReader, at path: ByteString, isLogger: Bool
    ) {
        var check = ServiceFilesCheck(reader, at: path, states: places)
        check.run(isLogger: isLogger)
        problems += check.problems
        if let status = look(at: ".", reader.place, path) { checkAccess(path, status) }
        if let state = check.state {
            if let other = states[state] {
                complain("\(path)/supervise", "the same directory as that of \(other.visible)")
            }
            states[state] = path
        }
    }

    /// What a name in a directory is; nil where there is none, or where that cannot be told, which is said.
    private mutating func look(at name: ByteString, _ place: Directory, _ path: ByteString)
        -> FileStatus?
    {
        do throws(SystemError) { return try status(of: name, in: place) } catch {
            if error.errno != .noEntry { complain("\(path)/\(name)", ByteString(error.errno.text)) }
            return nil
        }
    }

    private mutating func checkAccess(_ path: ByteString, _ status: FileStatus) {
        if let text = status.exposure { complain(path, text) }
    }

    private mutating func complain(_ path: ByteString, _ text: ByteString) {
        problems.append(DefinitionProblem(file: path, text: text))
    }

    // MARK: Dependencies

    private mutating func checkGraph() {
        let problems = DependencyGraph(definitions).problems
        for problem in problems {
            guard let (_, reader) = asked.first(where: { $0.name == problem.name }) else {
                continue
            }
            let (file, line) = reader.source(of: problem)
            self.problems.append(DefinitionProblem(file: file, line: line, text: problem.text))
        }
    }

    /// Reads the definitions of all that a service names, and that these name. What is no service's name may be a
    /// pipeline's, which any service there may have.
    private mutating func findOthers(named first: ServiceDefinition, in parent: ByteString) {
        var open = first.namedServices
        var mayBePipeline = false
        while let name = open.popLast() {
            if definitions[name] != nil { continue }
            do throws(SystemError) {
                if let definition = try ServiceCheck.definition(of: name, in: parent) {
                    definitions[name] = definition
                    open += definition.namedServices
                }
            } catch { mayBePipeline = true }
        }
        if !mayBePipeline { return }
        do throws(SystemError) {
            for name in try entries(of: parent)
            where definitions[name] == nil && !name.hasPrefix(".") {
                let definition = try ServiceCheck.definition(of: name, in: parent)
                if definition?.isInPipeline == true { definitions[name] = definition }
            }
        } catch {
            // It is told to be unknown.
        }
    }

    /// What a service asks for; nil where the directory is none of a service.
    private static func definition(of name: ByteString, in parent: ByteString) throws(SystemError)
        -> ServiceDefinition?
    {
        let path: ByteString = "\(parent)/\(name)"
        let place = try openFile(path, .place)
        let reader = DefinitionReader(Directory(place), name: path)
        return reader.isOfService ? reader.definition : nil
    }
}

extension DefinitionReader {
    /// Whether the directory is that of a service.
    fileprivate var isOfService: Bool {
        contains(.run) || contains(.settings) || contains(.type)
            || definition.programs.contains(.start)
    }
}

extension ServiceDefinition {
    /// The services that it names.
    fileprivate var namedServices: [ByteString] {
        var names = needs + wants + after + before + contents + producers
        if let consumer { names.append(consumer) }
        for consequence in [onEnd, onFailure] {
            if case .run(let name) = consequence { names.append(name) }
        }
        return names
    }
}
