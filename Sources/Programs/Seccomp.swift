import Bytes
import Commands
import Confinement
import Linux

/// seccomp(8): forbids system calls and becomes the program.
func seccomp(_ call: Call) throws(Failure) -> Outcome {
    let usage = Failure(
        usage: """
            seccomp [ -n ] [ --log | --trap ] { policy | -x policy.bpf | --learn file } program \
            [ arg ... ]
            """)
    var options = ConfinementOptions()
    var mode: ListenerMode?
    var learned: LearnedPolicy?
    var isCompiled = false
    let long = [
        LongOption("learn", takesArgument: true, letter: "λ"), LongOption("log", letter: "ω"),
        LongOption("trap", letter: "τ"),
    ]
    var reader = OptionReader(
        call.arguments, short: "nx:", long: ConfinementOptions.words + long, messages: call.messages
    )
    while let option = reader.next() {
        guard case .option(let letter, let value) = option else { throw usage }
        switch letter {
        case "n": try options.take(.noNewPrivileges, value)
        case "x":
            if options.filter != nil { throw usage }
            options.filter = try SystemCallFilter(compiled: value)
            isCompiled = true
        case "λ", "ω", "τ":
            if mode != nil { throw usage }
            mode = letter == "ω" ? .log : letter == "τ" ? .trap : .learn
            if mode == .learn { learned = try LearnedPolicy(value) }
        default: guard try options.take(letter, value) else { throw usage }
        }
    }
    var words = call.arguments[reader.operands...]
    if learned == nil && !isCompiled, let policy = words.popFirst() {
        try options.take(.seccomp, policy)
    }
    if words.isEmpty || learned != nil && options.filter != nil { throw usage }
    var invocation = Invocation(command: words, environment: call.environment)
    guard let mode else { return try options.become(invocation, call) }
    if let restart = options.restart(call) { return restart }
    try options.setVariables(in: &invocation.environment)
    return try listen(to: invocation, options, mode, learned, call.messages)
}
