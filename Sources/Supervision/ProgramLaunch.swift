import Bytes
import Commands
import Formats
import Linux
import Services

/// How the programs of a service directory are called: by their file's name, with the arguments that their dialect
/// gives them.
extension Launch {
    /// Whether it is `run` with nothing that only this service has.
    var isPlain: Bool {
        guard role == .run else { return false }
        guard let definition else { return true }
        switch definition.readiness {
        case .descriptor, .notify: return false
        case .start, .command, .tcp, .unix: break
        }
        return definition.kind == .longrun && definition.dialect == .runit
            && definition.environment == nil && definition.watchdog == nil
            && definition.sockets.isEmpty && definition.storeLimit == 0
            && definition.stopReach != .everything
    }

    /// The program with its arguments, for a service of that name in that directory. Throws where the directory of its
    /// variables, or a command line in place of a program, cannot be read.
    func invocation(name: ByteString, in directory: Directory, _ base: Environment)
        throws(SystemError) -> Invocation
    {
        var environment = base
        if let variables = definition?.environment {
            try environment.read(variables, in: directory)
        }
        if definition?.kind == .oneshot,
            let words = try commandLine(in: directory), let program = words.first
        {
            return Invocation(program, arguments: words, environment: environment)
        }
        return Invocation(path, arguments: [path] + arguments(name), environment: environment)
    }

    /// Its file, seen from the service directory.
    private var path: ByteString { "./\(role.file(definition))" }

    private func arguments(_ name: ByteString) -> [ByteString] {
        let isS6 = definition?.dialect == .s6
        switch role {
        case .run: return isS6 ? [name] : []
        case .finish(let death, let pid):
            let code = death.signal == 0 ? death.exitCode : isS6 ? 256 : -1
            if isS6 { return ["\(code)", "\(death.signal)", name, "\(pid)"] }
            return ["\(code)", "\(death.status & 0xff)"]
        case .prepare, .announce, .stop, .undo: return []
        }
    }

    /// The words of a file that is a command line and no program, as s6-rc's `up` and `down` are; nil for a program.
    private func commandLine(in directory: Directory) throws(SystemError) -> [ByteString]? {
        let name = role.file(definition)
        do throws(SystemError) {
            try checkExecutable(name, in: directory)
            return nil
        } catch {
            if error.errno != .accessDenied { return nil }
        }
        let words = CommandLine.words(try contents(of: name, limit: 1 << 16, in: directory))
        // Blocks are execline's; without them there is nothing that an exec of the words would not do.
        if words.contains("{") { return [CommandLine.interpreter, "-P", path] }
        return words.isEmpty ? ["true"] : words
    }
}

extension Companion {
    /// Its file in the service directory.
    var file: ByteString {
        switch self {
        case .control(let letter): "control/\(ByteString([letter]))"
        case .notify: "notify"
        }
    }

    /// The program with its arguments.
    func invocation(_ environment: Environment) -> Invocation {
        let path: ByteString = "./\(file)"
        return Invocation(path, arguments: [path] + arguments, environment: environment)
    }

    /// encore's: which program, what became of it, its process, and the exit code or signal.
    private var arguments: [ByteString] {
        guard case .notify(let role, let death, let pid) = self else { return [] }
        let name: ByteString = role == .prepare ? "start" : role == .stop ? "stop" : "run"
        guard let death else { return [name, "start", "\(pid)", "0"] }
        return death.signal == 0
            ? [name, "exit", "\(pid)", "\(death.exitCode)"]
            : [name, "killed", "\(pid)", "\(death.signal)"]
    }
}

/// A command line in a file: words, with double quotes and backslashes, and comments from `#` to the end of a line.
enum CommandLine {
    /// execline's, for what is more than a command line.
    static let interpreter: ByteString = "execlineb"

    static func words(_ text: [UInt8]) -> [ByteString] {
        var words: [ByteString] = []
        var word: [UInt8]?
        var isQuoted = false
        var index = 0
        while index < text.count {
            let byte = text[index]
            index += 1
            if byte == UInt8(ascii: "\\"), index < text.count {
                word = (word ?? []) + [text[index]]
                index += 1
            } else if byte == UInt8(ascii: "\"") {
                isQuoted.toggle()
                word = word ?? []
            } else if isQuoted {
                word?.append(byte)
            } else if isBlank(byte) {
                if let word { words.append(ByteString(word)) }
                word = nil
            } else if byte == UInt8(ascii: "#"), word == nil {
                while index < text.count, text[index] != UInt8(ascii: "\n") { index += 1 }
            } else {
                word = (word ?? []) + [byte]
            }
        }
        if let word { words.append(ByteString(word)) }
        return words
    }

    private static func isBlank(_ byte: UInt8) -> Bool {
        [UInt8(ascii: " "), UInt8(ascii: "\t"), UInt8(ascii: "\n"), UInt8(ascii: "\r")].contains(
            byte)
    }
}

extension Environment {
    /// The most variables that are read.
    private static let mostVariables = 1000

    /// Sets the variables that the files of a directory hold, as envdir does. Bounded, since process 1 does it.
    fileprivate mutating func read(_ path: ByteString, in directory: Directory) throws(SystemError)
    {
        let place = try openFile(path, .directory, in: directory)
        for name in try Linux.entries(of: ".", in: Directory(place)).prefix(
            Environment.mostVariables)
        where name[0] != UInt8(ascii: ".") {
            let file = try openRegularFile(name, .read, in: Directory(place))
            let content = try contents(of: file.number, limit: 1 << 16)
            let line = content.prefix { $0 != UInt8(ascii: "\n") }
            let variable = EnvironmentFile(name: name, content: Array(line))
            if let value = variable.value {
                set(variable.variable, value)
            } else {
                unset(variable.variable)
            }
        }
    }
}

extension ServiceDefinition {
    /// Whether its process is to lead a process group, to be reached as a whole.
    var leadsGroup: Bool { stopReach != .process || killsGroup }
}
