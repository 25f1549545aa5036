import Bytes
import Commands
import Confinement
import Linux

/// chpst(8) of runit: changes the state of the process as its options say, in a fixed order, and becomes the
/// program.
func chpst(_ call: Call) throws(Failure) -> Outcome {
    var state = ChangedState()
    var reader = OptionReader(call.arguments, ChpstOption.names, call.messages)
    while let result = reader.next() {
        guard case .option(let option, let value) = result else { throw chpstUsage }
        if case .version = option {
            call.messages.line("version \(version)")
            throw chpstUsage
        }
        try state.take(option, value)
    }
    let command = call.arguments[reader.operands...]
    guard let program = command.first else { throw chpstUsage }
    return try state.become(program, Array(command), call)
}

/// The line of the version that is replaced, which has no -C.
private let chpstUsage = Failure(
    usageOfRunit: """
        [-vVP012] [-u user[:group]] [-U user[:group]] [-b argv0] [-e dir] [-/ root] [-n nice] \
        [-l|-L lock] [-m n] [-d n] [-o n] [-p n] [-f n] [-c n] [-t n] prog
        """)

private enum ChpstOption {
    /// Become a user and groups.
    case user
    /// Put their ids into UID and GID.
    case idVariables
    /// Be called so.
    case argumentZero
    /// Set variables from the files of a directory.
    case variables
    /// Change the root directory.
    case root
    /// Change the directory.
    case directory
    /// Add to the nice value.
    case nice
    /// Lock a file, waiting for it.
    case lock
    /// Lock a file that nobody else has locked.
    case lockAtOnce
    /// Soft limits on these.
    case limit([Resource])
    /// Start a session.
    case session
    /// Close a standard descriptor.
    case close(Int32)
    /// Say what is passed over.
    case verbose
    /// Print the version.
    case version

    static var names: [OptionName<ChpstOption>] {
        func value(_ letter: Unicode.Scalar, _ option: ChpstOption) -> OptionName<ChpstOption> {
            OptionName(letter, option, takesValue: true)
        }
        return [
            value("u", .user), value("U", .idVariables), value("b", .argumentZero),
            value("e", .variables), value("/", .root), value("C", .directory), value("n", .nice),
            value("l", .lock), value("L", .lockAtOnce),
            value("m", .limit([.data, .stack, .lockedMemory, .addressSpace])),
            value("d", .limit([.data])), value("o", .limit([.openFiles])),
            value("p", .limit([.processes])), value("f", .limit([.fileSize])),
            value("c", .limit([.coreSize])), value("r", .limit([.residentSize])),
            value("t", .limit([.processorTime])), OptionName("P", .session),
            OptionName("0", .close(Standard.input)), OptionName("1", .close(Standard.output)),
            OptionName("2", .close(Standard.error)), OptionName("v", .verbose),
            OptionName("V", .version),
        ]
    }
}

/// What the options ask for.
private struct ChangedState {
    private var user: ByteString?
    private var idVariables: ByteString?
    private var argumentZero: ByteString?
    private var variables: ByteString?
    private var root: ByteString?
    private var directory: ByteString?
    private var nice: Int32 = 0
    private var lock: (path: ByteString, waits: Bool)?
    private var limits = ConfinementOptions()
    private var startsSession = false
    private var closed: [Int32] = []
    private var isVerbose = false

    mutating func take(_ option: ChpstOption, _ value: ByteString) throws(Failure) {
        switch option {
        case .user: user = value
        case .idVariables: idVariables = value
        case .argumentZero: argumentZero = value
        case .variables: variables = value
        case .root: root = value
        case .directory: directory = value
        case .nice:
            let isSigned = value.bytes.first == UInt8(ascii: "+")
            let digits = isSigned ? ByteString(value.bytes.dropFirst()) : value
            // Far more than the whole range. No digits at all are zero, as ever.
            guard let number = digits.isEmpty ? 0 : parseDecimal(digits, within: -1000...1000)
            else { throw chpstUsage }
            nice = Int32(number)
        case .lock, .lockAtOnce:
            if lock != nil { throw chpstUsage }
            if case .lock = option { lock = (value, true) } else { lock = (value, false) }
        case .limit(let resources):
            guard let limit = softLimit(digits: value) else { throw chpstUsage }
            limits.limits += resources.map { ($0, limit) }
        case .session: startsSession = true
        case .close(let descriptor):
            if !closed.contains(descriptor) { closed.append(descriptor) }
        case .verbose: isVerbose = true
        case .version: break
        }
    }

    /// The order is chpst's, which users rely on: names are looked up below the new root, the lock is opened by
    /// the new user, and limits do not hinder what comes before.
    func become(_ program: ByteString, _ command: [ByteString], _ call: Call) throws(Failure)
        -> Outcome
    {
        // A process group leader already has what is asked for.
        if startsSession { do { try CurrentProcess.startSession() } catch {} }
        var environment = call.environment
        if let variables { try read(variables, into: &environment, call.messages) }
        try changePlace()
        if let idVariables {
            let ids = try UserAndGroups(idVariables)
            environment.set("GID", "\(ids.groups[0])")
            environment.set("UID", "\(ids.user)")
        }
        var invocation = Invocation(
            program, arguments: [argumentZero ?? program] + command.dropFirst(),
            environment: environment, search: call.environment)
        invocation.complaint = "unable to run: "
        if root != nil { invocation.requireExec() }
        if let user {
            var identity = ConfinementOptions()
            identity.credentials.become(try UserAndGroups(user))
            try identity.apply(before: &invocation)
        }
        if let lock {
            let held = try HeldLock(lock.path, wait: lock.waits, (" lock:", ":"))
            // Meanwhile the binary may have been replaced by a newer one.
            if held.hasWaited { invocation.requireExec() }
            try held.handDown(lock.path)
        }
        for descriptor in closed.sorted() { try close(descriptor) }
        try limits.apply(before: &invocation)
        return .become(invocation)
    }

    private func read(
        _ path: ByteString, into environment: inout Environment, _ messages: Messages
    ) throws(Failure) {
        try EnvironmentDirectory(path, separator: ": ") { [isVerbose] path, errno in
            if isVerbose { messages.warning("unable to read \(path)", errno) }
        }.read(into: &environment)
    }

    private func changePlace() throws(Failure) {
        if let root {
            try change(to: root)
            do throws(SystemError) { try CurrentProcess.makeRootOfCurrentDirectory() } catch {
                throw error.explained("unable to change root directory")
            }
        }
        if let directory { try change(to: directory) }
        if nice == 0 { return }
        do throws(SystemError) { try CurrentProcess.addNice(nice) } catch {
            throw error.explained("unable to set nice level")
        }
    }

    private func close(_ number: Int32) throws(Failure) {
        let names: [ByteString] = ["stdin", "stdout", "stderr"]
        let descriptor = Descriptor(owning: number)
        do throws(SystemError) { try descriptor.close() } catch {
            throw error.explained("unable to close \(names[Int(number)])")
        }
    }

    private func change(to path: ByteString) throws(Failure) {
        do throws(SystemError) { try changeDirectory(path) } catch {
            throw error.explained("unable to change directory: \(path)")
        }
    }
}
