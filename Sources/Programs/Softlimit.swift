import Bytes
import Commands
import Confinement
import Linux

/// softlimit(8): sets soft resource limits and becomes the child.
func softlimit(_ call: Call) throws(Failure) -> Outcome {
    let usage = Failure(
        usage: """
            softlimit [-a allbytes] [-c corebytes] [-d databytes] [-f filebytes] \
            [-l lockbytes] [-m membytes] [-o openfiles] [-p processes] [-r residentbytes] \
            [-s stackbytes] [-t cpusecs] child
            """)
    var options = ConfinementOptions()
    var reader = OptionReader(
        call.arguments, short: "a:c:d:f:l:m:o:p:r:s:t:", long: ConfinementOptions.words,
        messages: call.messages)
    while let option = reader.next() {
        guard case .option(let letter, let value) = option else { throw usage }
        if try options.take(letter, value) { continue }
        guard let limit = softLimit(value) else { throw usage }
        options.limits += resources(letter).map { ($0, limit) }
    }
    let command = call.arguments[reader.operands...]
    if command.isEmpty { throw usage }
    return try options.become(Invocation(command: command, environment: call.environment), call)
}

private func resources(_ letter: Unicode.Scalar) -> [Resource] {
    switch letter {
    case "a": [.addressSpace]
    case "c": [.coreSize]
    case "d": [.data]
    case "f": [.fileSize]
    case "l": [.lockedMemory]
    case "m": [.data, .stack, .lockedMemory, .addressSpace]
    case "o": [.openFiles]
    case "p": [.processes]
    case "r": [.residentSize]
    case "s": [.stack]
    case "t": [.processorTime]
    default: []
    }
}

/// `=` or digits and nothing else. No digits at all are zero, and too many wrap, as ever.
private func softLimit(_ text: ByteString) -> LimitChange? {
    if text == "=" { return .softToHard }
    let (value, length) = scanDecimal(text.bytes)
    return length == text.count ? .soft(UInt64(value)) : nil
}
