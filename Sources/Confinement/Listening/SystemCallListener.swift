import Bytes
import Commands
import Linux

/// What a process that listens does with calls that a policy does not plainly allow.
public enum ListenerMode: Sendable {
    /// Names them and lets them be made.
    case log
    /// Names them and does what the policy says.
    case trap
    /// Lets all calls be made and collects them for a policy.
    case learn
}

/// Receives the calls that a program's filter announces, and answers them. This needs no privileges beyond
/// those for a filter, and covers all that the program starts.
final class SystemCallListener {
    private let listener: Descriptor
    private let mode: ListenerMode
    private let filter: SystemCallFilter?
    private let messages: Messages
    /// Numbers of calls that were made and that the filter does not allow, when learning.
    private(set) var calls: [UInt32] = []
    /// Whether a call of another architecture was made.
    private(set) var sawOtherArchitectures = false

    /// Answers what `listener` tells of calls under `filter`.
    init(
        _ listener: consuming Descriptor, _ mode: ListenerMode, _ filter: SystemCallFilter?,
        _ messages: Messages
    ) {
        self.listener = listener
        self.mode = mode
        self.filter = filter
        self.messages = messages
    }

    /// Installs the filter that announces calls on this process, and sends the listener over `socket`. The
    /// filter lets that one sendmsg(2) pass unannounced, since nobody could answer it yet. It recognizes
    /// the call by a random mark, which is forgotten when this process executes the program.
    static func announce(over socket: Int32, _ filter: SystemCallFilter?) throws(SystemError) {
        var generator = SystemRandomNumberGenerator()
        let mark = generator.next()
        let program = announcing(filter, allBut: mark)
        var message = DescriptorMessage()
        try CurrentProcess.install(filter: program, flags: .newListener) {
            (listener) throws(SystemError) in
            do throws(SystemError) { try message.send(listener, over: socket, mark: mark) } catch {
                // Any further call of this process would wait for ever.
                fatalError("nobody listens")
            }
        }
    }

    /// The filter that lets a sendmsg(2) with `mark` pass and then asks `filter`.
    private static func announcing(_ filter: SystemCallFilter?, allBut mark: UInt64)
        -> [FilterInstruction]
    {
        var assembler = FilterAssembler(before: announcing(filter))
        let start = assembler.start
        let allowed = assembler.end(.allow)
        let isMarked = Comparison(argument: 3, relation: .equal, value: mark)
        var next = assembler.branch(isMarked, ifTrue: allowed, ifFalse: start)
        if case .number(let number) = SystemCalls.meaning(of: "sendmsg") {
            next = assembler.branch(.equal, UInt32(number), ifTrue: next, ifFalse: start)
        }
        next = assembler.load(FilterAssembler.Field.number, then: next)
        next = assembler.branch(
            .equal, Architecture.native.auditNumber, ifTrue: next, ifFalse: start)
        _ = assembler.load(FilterAssembler.Field.architecture, then: next)
        return assembler.program
    }

    /// The filter with every answer but "allow" replaced by an announcement.
    private static func announcing(_ filter: SystemCallFilter?) -> [FilterInstruction] {
        let announcement = FilterAction.announce.rawValue
        guard let filter else { return [FilterInstruction(.answer, announcement)] }
        return filter.instructions.map { instruction in
            var instruction = instruction
            if instruction.operation == .answer,
                instruction.value != FilterAction.allow.rawValue
            {
                instruction.value = announcement
            }
            return instruction
        }
    }

    /// Answers calls until the child `program` and all that it started have ended. Passes on `signals`,
    /// which this process has blocked. After the program's end, TERM ends the wait for what it left
    /// behind. Returns how the program ended.
    func run(_ program: ProcessID, _ signals: borrowing SignalDescriptor) throws(SystemError)
        -> WaitResult
    {
        var awaited = [Awaited(listener.number), Awaited(signals.descriptor.number)]
        var end = WaitResult.nothingYet
        while true {
            try poll(&awaited)
            while let signal = try signals.next() {
                if end != .nothingYet {
                    if signal == .terminate { return end }
                } else if signal == .child {
                    // Before Linux 6.11 the listener hangs up only when all processes have been reaped.
                    let found = try reap(program)
                    if case .resumed = found { continue }
                    end = found
                } else {
                    try send(signal, to: program)
                }
            }
            if !awaited[0].isReady { continue }
            if awaited[0].hasHungUp {
                return end == .nothingYet ? try reap(program, block: true) : end
            }
            do throws(SystemError) {
                try answer(try SystemCallNotice(from: listener))
            } catch {
                // The caller has gone before its call was read.
                if error.errno != .noEntry { throw error }
            }
        }
    }

    private func answer(_ notice: SystemCallNotice) throws(SystemError) {
        let action = filter?.answer(to: notice) ?? .killProcess
        var errno: Errno?
        if mode == .learn {
            if action != .allow { learn(notice) }
        } else {
            messages.line(describe(notice, action))
            if mode == .trap && action != .log { errno = try enforce(action, on: notice) }
        }
        try notice.answer(errno, to: listener)
    }

    private func learn(_ notice: SystemCallNotice) {
        let isNative = notice.architecture == Architecture.native.auditNumber
        if !isNative || notice.number >= Architecture.x32Bit {
            sawOtherArchitectures = true
        } else if !calls.contains(notice.number) {
            calls.append(notice.number)
        }
    }

    /// Does what the filter would have done to the caller; returns the error that the call fails with.
    private func enforce(_ action: FilterAction, on notice: SystemCallNotice)
        throws(SystemError) -> Errno
    {
        if action.isFailure { return Errno(Int32(action.rawValue & 0xffff)) }
        if action.isTrace { return .noSystemCall }
        if try !notice.isWaiting(on: listener) { return .noSystemCall }
        let signal = action == .trap ? Signal.badSystemCall : Signal.kill
        do throws(SystemError) {
            // kill(2) takes 0 for the whole process group.
            if notice.process == 0 { throw SystemError("kill", .noProcess) }
            try send(signal, to: notice.process)
        } catch { messages.warning("unable to end the process", error.errno) }
        return .noSystemCall
    }

    /// `denied mount(0x0, …) of x86_64 by sh (pid 7): return EPERM`.
    private func describe(_ notice: SystemCallNotice, _ action: FilterAction) -> ByteString {
        let architecture = Architecture(auditNumber: notice.architecture)
        let name = architecture.callName(notice.number) ?? "\(notice.number)"
        var arguments: ByteString = ""
        for (index, argument) in notice.arguments.enumerated() {
            if index > 0 { arguments.append(", " as ByteString) }
            arguments.append(hexadecimal(argument))
        }
        let program = programName(of: notice.process)
        let verb: StaticString = mode == .log ? "would deny" : "denied"
        return """
            \(verb) \(name)(\(arguments)) of \(architecture.name) by \(program) \
            (pid \(notice.process)): \(action.text)
            """
    }
}

/// The program that a process runs, as ps(1) shows it.
private func programName(of process: ProcessID) -> ByteString {
    do throws(SystemError) {
        let text = try contents(of: "/proc/\(process)/comm", limit: 4096)
        // A program can give itself any name.
        return ByteString(text.dropLast().map { (0x20...0x7e).contains($0) ? $0 : 0x3f })
    } catch { return "an unknown program" }
}
