import Bytes
import Commands
import Formats
import Linux
import Services

/// Looks at the files of one service directory: whether its programs can be executed, who could change them, and
/// whether `supervise` can be.
struct ServiceFilesCheck {
    private(set) var problems: [DefinitionProblem] = []
    /// The directory that `supervise` is, if it is there.
    private(set) var state: FileStatus.Identity?

    private let reader: DefinitionReader
    private let path: ByteString
    private let states: StatePlaces

    init(_ reader: DefinitionReader, at path: ByteString, states: StatePlaces) {
        self.reader = reader
        self.path = path
        self.states = states
    }

    mutating func run(isLogger: Bool) {
        checkMain()
        let programs = reader.definition.programs
        if programs.contains(.finish) && !isLogger { checkProgram("finish") }
        for (program, name) in [
            (.start, "start"), (.stop, "stop"), (.notify, "notify"),
        ]
            as [(ServiceDefinition.Programs, ByteString)] where programs.contains(program)
        {
            checkProgram(name)
        }
        if reader.hasLogFile && !isLogger { checkProgram("log") }
        if programs.contains(.down) { checkCommand("down") }
        if programs.contains(.control) { checkControl() }
        if reader.contains(.settings) { checkAccess("settings") }
        checkEnvironment()
        if reader.definition.kind != .bundle { checkSupervise() }
    }

    /// What makes it a service.
    private mutating func checkMain() {
        switch reader.definition.kind {
        case .bundle: return
        case .oneshot where reader.contains(.up): checkCommand("up")
        case .oneshot, .longrun:
            if reader.contains(.run) {
                checkProgram("run")
            } else if reader.definition.programs.contains(.run) {
                complain("run", ByteString(Errno.noEntry.text))
            }
        }
    }

    private mutating func checkProgram(_ name: ByteString) {
        if let obstacle = executionObstacle(name, in: reader.place) { complain(name, obstacle) }
        checkAccess(name)
        checkChain(name)
    }

    /// What chain(8) would say of a file that is for it.
    private mutating func checkChain(_ name: ByteString) {
        let content: [UInt8]
        do throws(SystemError) {
            guard try status(of: name, in: reader.place).isRegular else { return }
            content = try contents(of: name, limit: 1 << 16, in: reader.place)
        } catch { return }
        guard ChainFile.isInterpreter(of: content) else { return }
        do throws(ChainFile.Mistake) { _ = try ChainFile(content) } catch {
            problems.append(
                DefinitionProblem(file: "\(path)/\(name)", line: error.line, text: error.text))
        }
    }

    /// What a one-shot does or undoes: s6-rc's is a command line unless it can be executed.
    private mutating func checkCommand(_ name: ByteString) {
        do throws(SystemError) {
            if reader.contains(.type), try !status(of: name, in: reader.place).isProgram {
                return checkAccess(name)
            }
        } catch {
            // It is said below.
        }
        checkProgram(name)
    }

    /// runit asks those of its programs that can be executed.
    private mutating func checkControl() {
        do throws(SystemError) {
            var names = try entries(of: "control", in: reader.place)
            names.sortByBytes()
            for name in names where name.count == 1 { checkProgram("control/\(name)") }
        } catch { complain("control", ByteString(error.errno.text)) }
    }

    private mutating func checkEnvironment() {
        guard let environment = reader.definition.environment else { return }
        do throws(SystemError) { _ = try openFile(environment, .place, in: reader.place) } catch {
            problems.append(
                DefinitionProblem(
                    file: "\(path)/settings",
                    line: reader.settings.line(of: "environment", naming: environment) ?? 0,
                    text: "unable to open \(environment.visible): \(error.errno.text)"))
        }
    }

    /// Whether `supervise` is there, or can be made.
    private mutating func checkSupervise() {
        do throws(SystemError) {
            let supervise = try SuperviseDirectory(of: reader.place, or: states)
            state = try status(of: supervise.place.number).identity
            return
        } catch {
            if error.errno != .noEntry {
                return complain("supervise", ByteString(error.errno.text))
            }
        }
        // There is none, or it leads to a place that is made at every boot.
        do throws(SystemError) {
            let target = try readLink("supervise", in: reader.place)
            let parent = ByteString(target.bytes.dropLast(target.lastComponent.count))
            if parent.isEmpty { return }
            if try !exists(parent, in: reader.place) {
                complain("supervise", "leads to \(target.visible), whose directory does not exist")
            }
        } catch {
            if error.errno != .noEntry { complain("supervise", ByteString(error.errno.text)) }
        }
    }

    private mutating func checkAccess(_ name: ByteString) {
        do throws(SystemError) {
            if let text = try status(of: name, in: reader.place).exposure { complain(name, text) }
        } catch {
            if error.errno != .noEntry { complain(name, ByteString(error.errno.text)) }
        }
    }

    private mutating func complain(_ name: ByteString, _ text: ByteString) {
        let problem = DefinitionProblem(file: "\(path)/\(name)", text: text)
        // That it is not there is told once.
        if problems.last != problem { problems.append(problem) }
    }
}

extension FileStatus {
    /// Who could change what this process's user runs, for people; nil for root and that user alone. A group that has
    /// the number of its owner is the owner's own.
    var exposure: ByteString? {
        if mode & 0o002 != 0 { return "everybody may write to it" }
        if user != 0 && user != CurrentProcess.effectiveUser {
            return "belongs to user \(user), who may change it"
        }
        if mode & 0o020 != 0 && group != 0 && group != user {
            return "group \(group) may write to it"
        }
        return nil
    }
}
