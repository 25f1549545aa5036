import Bytes
import Commands
import Linux

/// setlock(8): locks a file and becomes the child, which holds the lock as long as it lives, or runs the
/// child and holds the lock itself.
func setlock(_ call: Call) throws(Failure) -> Outcome {
    let usage = Failure(usage: "setlock [ -nNxX ] file program [ arg ... ]")
    var wait = true
    var isQuiet = false
    var keepsLock = false
    var reader = OptionReader(call.arguments, SetlockOption.names, call.messages)
    while let result = reader.next() {
        guard case .option(let option, _) = result else { throw usage }
        switch option {
        case .noDelay: wait = false
        case .delay: wait = true
        case .quiet: isQuiet = true
        case .loud: isQuiet = false
        case .keep: keepsLock = true
        }
    }
    let words = call.arguments[reader.operands...]
    guard let path = words.first, words.count > 1 else { throw usage }
    var invocation = Invocation(command: words.dropFirst(), environment: call.environment)
    let held: HeldLock
    do throws(Failure) { held = try HeldLock(path, wait: wait, ("", "")) } catch {
        if isQuiet { return .exit(0) }
        throw error
    }
    // Meanwhile the binary may have been replaced by a newer one.
    if held.hasWaited { invocation.requireExec() }
    if keepsLock { return try run(invocation) }
    try held.handDown(path)
    return .become(invocation)
}

private enum SetlockOption {
    /// Do not wait for the lock.
    case noDelay
    /// Wait for it.
    case delay
    /// End with 0 and without a word where it cannot be had.
    case quiet
    /// Say so, and end with 111.
    case loud
    /// Keep the lock, and run the program as a child without it.
    case keep

    static var names: [OptionName<SetlockOption>] {
        [
            OptionName("n", .noDelay), OptionName("N", .delay), OptionName("x", .quiet),
            OptionName("X", .loud), OptionName("o", .keep),
        ]
    }
}

/// Runs the child and exits as it did, while this process keeps the lock. Signals are passed on.
private func run(_ invocation: Invocation) throws(Failure) -> Outcome {
    var signals = SignalSet(.child, .alarm, .hangup, .terminate, .user1, .user2, .continue)
    if !isForeground(Standard.input) { signals.formUnion(SignalSet(.interrupt, .quit)) }
    do throws(SystemError) {
        let ignoresChildren = try setDisposition(.child, ignored: false)
        let blocked = try signals.block()
        try blocked.union(signals).block()
        guard case .parent(let child) = try forkProcess() else {
            if ignoresChildren { try setDisposition(.child, ignored: true) }
            try blocked.block()
            return .become(invocation)
        }
        // Those of the terminal's keys reach the child without us.
        for key in [Signal.interrupt, .quit] where !signals.contains(key) {
            try setDisposition(key, ignored: true)
        }
        let pending = try SignalDescriptor(signals)
        while true {
            if case .ended(_, let status) = try reap(child) { return .exit(status.shellCode) }
            var awaited = [Awaited(pending.descriptor.number)]
            try poll(&awaited)
            while let signal = try pending.next() {
                if signal != .child { try send(signal, to: child) }
            }
        }
    } catch { throw error.explained("unable to run \(invocation.program)") }
}
