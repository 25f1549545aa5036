import Bytes
import Commands
import Linux

/// setlock(8): locks a file and becomes the child, which holds the lock as long as it lives.
func setlock(_ call: Call) throws(Failure) -> Outcome {
    let usage = Failure(usage: "setlock [ -nNxX ] file program [ arg ... ]")
    var wait = true
    var isQuiet = false
    var reader = OptionReader(call.arguments, SetlockOption.names, call.messages)
    while let result = reader.next() {
        guard case .option(let option, _) = result else { throw usage }
        switch option {
        case .noDelay: wait = false
        case .delay: wait = true
        case .quiet: isQuiet = true
        case .loud: isQuiet = false
        }
    }
    let words = call.arguments[reader.operands...]
    guard let path = words.first, words.count > 1 else { throw usage }
    var invocation = Invocation(command: words.dropFirst(), environment: call.environment)
    do throws(Failure) {
        let hasWaited = try hold(path, wait: wait)
        // Meanwhile the binary may have been replaced by a newer one.
        if hasWaited { invocation.requireExec() }
    } catch {
        if isQuiet { return .exit(0) }
        throw error
    }
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

    static var names: [OptionName<SetlockOption>] {
        [
            OptionName("n", .noDelay), OptionName("N", .delay), OptionName("x", .quiet),
            OptionName("X", .loud),
        ]
    }
}

/// Opens and locks; the descriptor stays open in the program that this process becomes. Returns
/// whether somebody else had the lock.
private func hold(_ path: ByteString, wait: Bool) throws(Failure) -> Bool {
    let file: Descriptor
    do throws(SystemError) { file = try openFile(path, .append) } catch {
        throw error.explained("unable to open \(path)")
    }
    do throws(SystemError) {
        let hasWaited = try lock(file, orWait: wait)
        try file.keepOnExec()
        _ = file.release()
        return hasWaited
    } catch { throw error.explained("unable to lock \(path)") }
}

private func lock(_ file: borrowing Descriptor, orWait wait: Bool) throws(SystemError) -> Bool {
    do throws(SystemError) {
        try lock(file, wait: false)
        return false
    } catch {
        if !wait || error.errno != .again { throw error }
    }
    try lock(file, wait: true)
    return true
}
