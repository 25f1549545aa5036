import Bytes
import Commands
import Formats
import Linux
import ServiceFiles
import Services
import Supervision

/// svc(8): sends commands to supervised services.
func svc(_ call: Call) throws(Failure) -> Outcome {
    let names =
        Command.allCases.map { OptionName(Unicode.Scalar($0.rawValue), SvcOption.command($0)) }
        + [
            OptionName(word: "wait", .wait, mayTakeValue: true),
            OptionName(word: "dependents", .dependents),
        ]
        + Order.Turn.allCases.map { OptionName(Unicode.Scalar($0.rawValue), .turn($0)) }
    var options = OptionReader(call.arguments, names, call.messages)
    var text = SvcText()
    var patience: WaitPatience?
    var takesDependents = false
    while let result = options.next() {
        switch result {
        case .option(.command(let command), _): text.add(command)
        case .option(.turn(let turn), _): text.turn(turn)
        case .option(.wait, let value): patience = try WaitPatience(value)
        case .option(.dependents, _): takesDependents = true
        case .wrong: return try usage()
        }
    }
    let parts = text.parts
    let start: Descriptor
    do throws(SystemError) { start = try openFile(".", .read) } catch {
        throw error.explained("unable to open current directory")
    }
    let scan = ServiceNames(call.environment)
    let states = StatePlaces(ofClientWith: call.environment)
    let services = call.arguments.dropFirst(options.operands).map {
        (name: $0, directory: scan.directory(of: $0))
    }
    if parts.contains(where: { $0.isForLoggers }), patience != nil || takesDependents {
        throw Failure("-L goes with commands alone", exitCode: 100)
    }
    let commands = parts.filter { !$0.isForLoggers }.flatMap { $0.commands }
    let directories = services.map { $0.directory }
    if takesDependents {
        guard commands.contains(.down) else {
            throw Failure("--dependents goes with -d", exitCode: 100)
        }
        let forever = try WaitPatience("")
        for group in SvcDependents(of: directories, states: states).stopOrder where !group.isEmpty {
            let services = group.map { (name: $0, directory: $0) }
            let code = try send(
                [SvcText.Part(.down)], to: services, start, states, patience ?? forever,
                call.messages)
            if code != 0 { return .exit(code) }
        }
    }
    let code = try send(parts, to: services, start, states, patience, call.messages)
    // All definitions are read for this, which nobody's stop waits for.
    if commands.contains(.down) && !takesDependents {
        SvcDependents(of: directories, states: states).report(call.messages)
    }
    return .exit(code)
}

/// Sends commands to services, and with `patience` waits for their effect; returns the exit code.
private func send(
    _ parts: [SvcText.Part], to services: [(name: ByteString, directory: ByteString)],
    _ start: borrowing Descriptor, _ states: StatePlaces, _ patience: WaitPatience?,
    _ messages: Messages
) throws(Failure) -> Int32 {
    var sender = CommandSender(parts: parts, states: states, messages: messages)
    for (name, directory) in services {
        if patience != nil { sender.watch(name, in: directory) }
        sender.send(to: directory)
        do throws(SystemError) { try changeDirectory(to: start) } catch {
            throw error.explained("unable to set directory")
        }
    }
    guard let patience else { return 0 }
    let code = try sender.wait(patience)
    return sender.hasFailed ? 111 : code
}

private enum SvcOption {
    /// Send this.
    case command(Command)
    /// Wait until it has had its effect.
    case wait
    /// Take down first what needs the services.
    case dependents
    /// Whom the commands that follow are for.
    case turn(Order.Turn)
}

/// Sends commands to one service after another, from its directory.
private struct CommandSender {
    /// How long a supervisor may leave its FIFO full, in milliseconds. One that works needs none of it.
    private static let patience: UInt64 = 5000

    let parts: [SvcText.Part]
    let states: StatePlaces
    let messages: Messages
    /// Whether one could not be reached.
    private(set) var hasFailed = false
    private var services: [WatchedService] = []
    private var expectations: [Expectation] = []

    init(parts: [SvcText.Part], states: StatePlaces, messages: Messages) {
        self.parts = parts
        self.states = states
        self.messages = messages
    }

    /// Notes how a service is before it is sent anything. What is wrong with it is told when it is.
    mutating func watch(_ name: ByteString, in directory: ByteString) {
        do throws(SystemError) {
            let service = try WatchedService(name: name, path: directory, states: states)
            guard let record = try service.record() else { return }
            services.append(service)
            expectations.append(
                Expectation(of: parts.flatMap { $0.commands }, before: record))
        } catch {
            if error.errno != .noReader && error.errno != .noEntry {
                fail("unable to read the status of \(directory)", error.errno)
            }
        }
    }

    mutating func send(to directory: ByteString) {
        do throws(SystemError) { try changeDirectory(directory) } catch {
            return fail("unable to chdir to \(directory)", error.errno)
        }
        for part in parts { send(part, to: directory) }
    }

    private mutating func send(_ part: SvcText.Part, to directory: ByteString) {
        let control: Descriptor
        do throws(SystemError) {
            control = part.isForLoggers ? try openLogger() : try openService()
        } catch {
            if error.errno == .noReader {
                return fail("unable to control \(directory): supervise not running")
            }
            return fail("unable to control \(directory)", error.errno)
        }
        do throws(SystemError) {
            // The service may stop being supervised while it is written to. What this process becomes, or
            // starts, is to have the signal as it was.
            let wasIgnored = try setDisposition(.pipe, ignored: true)
            let deadline = Instant.now.advanced(milliseconds: CommandSender.patience)
            do throws(SystemError) {
                try ServiceFiles.send(part.letters, to: control, until: deadline)
            } catch {
                fail("error writing commands to \(directory)", error.errno)
            }
            try setDisposition(.pipe, ignored: wasIgnored)
        } catch {
            fail("unable to set the disposition of SIGPIPE", error.errno)
        }
    }

    private func openService() throws(SystemError) -> Descriptor {
        try SuperviseDirectory(of: .current, or: states).openCommands()
    }

    /// The logger is a service in a directory of its own, or a file.
    private func openLogger() throws(SystemError) -> Descriptor {
        if try status(of: "log").isDirectory {
            let log = try openFile("log", .place)
            return try SuperviseDirectory(of: Directory(log), or: states).openCommands()
        }
        return try SuperviseDirectory(of: .current, or: states).openLogger().openCommands()
    }

    private mutating func fail(_ text: ByteString, _ errno: Errno? = nil) {
        hasFailed = true
        messages.warning(text, errno)
    }

    /// Waits until the commands have had their effect; returns the exit code.
    func wait(_ patience: WaitPatience) throws(Failure) -> Int32 {
        let wait = ServiceWait(services)
        return try patience.exitCode(of: services, isAny: false, messages) {
            (deadline) throws(SystemError) in
            try wait.verdicts(isAny: false, until: deadline) {
                (service, place) throws(SystemError) in
                expectations[place].verdict(on: try service.record())
            }
        }
    }
}

/// The line of the original, which therefore does not name the letters it did not have.
private func usage() throws(Failure) -> Outcome {
    var line: ByteString = "svc options:"
    for command in Command.allCases where command.isTraditional {
        line.append(" \(ByteString([command.rawValue])) \(command.word)," as ByteString)
    }
    let text = line.bytes.dropLast() + "\n".utf8
    do throws(SystemError) { try writeAll(Standard.error, Array(text)) } catch {
        throw error.explained("unable to write")
    }
    return .exit(100)
}
