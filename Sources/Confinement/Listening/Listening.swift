import Bytes
import Commands
import Linux

/// The signals that this process receives while it listens. It passes on all but CHLD.
private var signals: SignalSet {
    SignalSet(.child, .alarm, .hangup, .terminate, .user1, .user2)
}

/// Runs a program in a child, confined by `options`, and answers its calls in this process until it and
/// all that it started have ended; then exits as the program did. `learned` is where to put what was
/// learned.
public func listen(
    to invocation: Invocation, _ options: ConfinementOptions, _ mode: ListenerMode,
    _ learned: LearnedPolicy?, _ messages: Messages
) throws(Failure) -> Outcome {
    let filter = mode == .learn ? learned?.filter : options.filter
    var ends: (ours: Int32, theirs: Int32) = (-1, -1)
    var program: ProcessID?
    do throws(SystemError) {
        ends = try makeUnixSocketPair()
        let inherited = Inherited(
            blocked: try signals.block(),
            ignoresChildren: try setDisposition(.child, ignored: false))
        if case .parent(let process) = try forkProcess() {
            program = process
        } else {
            try inherited.restore()
        }
    } catch { throw explained(error) }
    guard let program else {
        return try become(invocation, options, filter, announcedOver: ends.theirs)
    }
    // From here on only the child has its end of the socket, so that its death is noticed.
    do { _ = Descriptor(owning: ends.theirs) }
    let socket = Descriptor(owning: ends.ours)
    let (end, listener) = try hear(program, over: socket, mode, filter, messages)
    if let listener { try learned?.add(listener, messages) }
    guard case .ended(_, let status) = end else { return .exit(111) }
    return .exit(status.shellCode)
}

/// Answers calls until there can be no more. Returns no listener if the program was never started.
private func hear(
    _ program: ProcessID, over socket: borrowing Descriptor, _ mode: ListenerMode,
    _ filter: SystemCallFilter?, _ messages: Messages
) throws(Failure) -> (WaitResult, SystemCallListener?) {
    do throws(SystemError) {
        let pending = try SignalDescriptor(signals)
        // The terminal sends these to the program too.
        for signal in [Signal.interrupt, .quit] { try setDisposition(signal, ignored: true) }
        var message = DescriptorMessage()
        guard let announced = try message.receive(over: socket) else {
            return (try reap(program, block: true), nil)
        }
        let listener = SystemCallListener(announced, mode, filter, messages)
        return (try listener.run(program, pending), listener)
    } catch { throw explained(error) }
}

/// What this process changes for itself and the program is to have unchanged.
private struct Inherited {
    var blocked: SignalSet
    var ignoresChildren: Bool

    func restore() throws(SystemError) {
        if ignoresChildren { try setDisposition(.child, ignored: true) }
        try blocked.block()
    }
}

private func explained(_ error: SystemError) -> Failure {
    error.explained("unable to listen to the program")
}

/// In the child: confines it and announces its calls from now on.
private func become(
    _ invocation: Invocation, _ options: ConfinementOptions, _ filter: SystemCallFilter?,
    announcedOver socket: Int32
) throws(Failure) -> Outcome {
    var options = options
    options.filter = nil
    let outcome = try options.become(invocation)
    guard case .become(var confined) = outcome else { return outcome }
    do throws(SystemError) {
        if try !CapabilityState.currentEffective().contains(.systemAdministration) {
            try CurrentProcess.setNoNewPrivileges()
        }
        try SystemCallListener.announce(over: socket, filter)
    } catch { throw error.explained("unable to have system calls announced") }
    confined.requireExec()
    return .become(confined)
}
