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
    var reader = OptionReader(
        call.arguments, short: "a:b:i:np:", long: ConfinementOptions.words, messages: call.messages)
    while let option = reader.next() {
        guard case .option(let letter, let value) = option else { throw usage }
        switch letter {
        case "a": try options.take(.ambient, value)
        case "b": try options.take(.bounding, value)
        case "i": try options.take(.inheritable, value)
        case "n": try options.take(.noNewPrivileges, value)
        case "p": try options.take(.caps, value)
        default: guard try options.take(letter, value) else { throw usage }
        }
    }
    let command = call.arguments[reader.operands...]
    if command.isEmpty { throw usage }
    return try options.become(Invocation(command: command, environment: call.environment), call)
}
