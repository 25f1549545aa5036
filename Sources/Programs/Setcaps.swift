import Bytes
import Commands
import Confinement
import Linux

/// setcaps(8): restricts capabilities and becomes the program.
func setcaps(_ call: Call) throws(Failure) -> Outcome {
    let usage = Failure(
        usage: """
            setcaps [ -n ] [ -b bounding ] [ -p caps ] [ -a ambient ] [ -i inheritable ] \
            program [ arg ... ]
            """)
    var options = ConfinementOptions()
    let short: [OptionName<ConfinementOption>] = [
        OptionName("a", .ambient, takesValue: true), OptionName("b", .bounding, takesValue: true),
        OptionName("i", .inheritable, takesValue: true), OptionName("n", .noNewPrivileges),
        OptionName("p", .caps, takesValue: true),
    ]
    var reader = OptionReader(call.arguments, ConfinementOption.names + short, call.messages)
    while let result = reader.next() {
        guard case .option(let option, let value) = result else { throw usage }
        try options.take(option, value)
    }
    let command = call.arguments[reader.operands...]
    if command.isEmpty { throw usage }
    return try options.become(Invocation(command: command, environment: call.environment), call)
}
