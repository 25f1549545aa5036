import Confinement
import Linux

/// seccomp(8): forbids system calls and becomes the program.
func seccomp(_ call: Call) throws(Failure) -> Outcome {
    let usage = Failure(
        usage: "seccomp [ -n ] { policy | -x policy.bpf } program [ arg ... ]")
    var options = Options()
    var isCompiled = false
    var reader = OptionReader(
        call.arguments, short: "nx:", long: Options.words, messages: call.messages)
    while let option = reader.next() {
        guard case .option(let letter, let value) = option else { throw usage }
        switch letter {
        case "n": try options.take(.noNewPrivileges, value)
        case "x":
            if options.filter != nil { throw usage }
            options.filter = try SystemCallFilter(compiled: value)
            isCompiled = true
        default: guard try options.take(letter, value) else { throw usage }
        }
    }
    var words = call.arguments[reader.operands...]
    if !isCompiled, let policy = words.popFirst() { try options.take(.seccomp, policy) }
    if words.isEmpty { throw usage }
    return try options.become(Invocation(command: words, environment: call.environment))
}
