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
    var reader = OptionReader(call.arguments, SoftlimitOption.names, call.messages)
    while let result = reader.next() {
        switch result {
        case .option(.confinement(let option), let value): try options.take(option, value)
        case .option(.limit(let resources), let value):
            guard let limit = softLimit(value) else { throw usage }
            options.limits += resources.map { ($0, limit) }
        case .wrong: throw usage
        }
    }
    let command = call.arguments[reader.operands...]
    if command.isEmpty { throw usage }
    return try options.become(Invocation(command: command, environment: call.environment), call)
}

private enum SoftlimitOption {
    /// Soft limits on these, in this order.
    case limit([Resource])
    case confinement(ConfinementOption)

    static var names: [OptionName<SoftlimitOption>] {
        func limit(_ letter: Unicode.Scalar, _ resources: Resource...) -> OptionName<
            SoftlimitOption
        > {
            OptionName(letter, .limit(resources), takesValue: true)
        }
        return ConfinementOption.names.map { $0.mapped { .confinement($0) } } + [
            limit("a", .addressSpace), limit("c", .coreSize), limit("d", .data),
            limit("f", .fileSize), limit("l", .lockedMemory),
            limit("m", .data, .stack, .lockedMemory, .addressSpace), limit("o", .openFiles),
            limit("p", .processes), limit("r", .residentSize), limit("s", .stack),
            limit("t", .processorTime),
        ]
    }
}

/// `=` or digits and nothing else. No digits at all are zero, and too many wrap, as ever.
private func softLimit(_ text: ByteString) -> LimitChange? {
    text == "=" ? .softToHard : softLimit(digits: text)
}

/// The soft limit that `text` is: digits and nothing else, as above.
func softLimit(digits text: ByteString) -> LimitChange? {
    let (value, length) = scanDecimal(text.bytes)
    return length == text.count ? .soft(UInt64(value)) : nil
}
