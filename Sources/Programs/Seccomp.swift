import Confinement
import Linux

/// seccomp(8): forbids system calls and becomes the program.
func seccomp(_ call: Call) throws(Failure) -> Outcome {
    let usage = Failure(usage: "seccomp [ -n ] policy program [ arg ... ]")
    var options = Options()
    var reader = OptionReader(
        call.arguments, short: "n", long: Options.words, messages: call.messages)
    while let option = reader.next() {
        guard case .option(let letter, let value) = option else { throw usage }
        if letter == "n" {
            try options.take(.noNewPrivileges, value)
        } else {
            guard try options.take(letter, value) else { throw usage }
        }
    }
    let words = call.arguments[reader.operands...]
    guard let policy = words.first, words.count > 1 else { throw usage }
    try options.take(.seccomp, policy)
    return try options.become(
        Invocation(command: words.dropFirst(), environment: call.environment))
}
