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
    var reader = OptionReader(call.arguments, SeccompOption.names, call.messages)
    while let result = reader.next() {
        guard case .option(let option, let value) = result else { throw usage }
        switch option {
        case .compiled:
            if options.filter != nil { throw usage }
            options.filter = try SystemCallFilter(compiled: value)
            isCompiled = true
        case .listen(let wanted):
            if mode != nil { throw usage }
            mode = wanted
            if wanted == .learn { learned = try LearnedPolicy(value) }
        case .confinement(let option): try options.take(option, value)
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

private enum SeccompOption {
    /// A policy that seccomprules(8) has compiled.
    case compiled
    case listen(ListenerMode)
    case confinement(ConfinementOption)

    static var names: [OptionName<SeccompOption>] {
        ConfinementOption.names.map { $0.mapped { .confinement($0) } } + [
            OptionName("n", .confinement(.noNewPrivileges)),
            OptionName("x", .compiled, takesValue: true),
            OptionName(word: "learn", .listen(.learn), takesValue: true),
            OptionName(word: "log", .listen(.log)), OptionName(word: "trap", .listen(.trap)),
        ]
    }
}
