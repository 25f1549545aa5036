import Bytes
import Commands
import Confinement
import Linux

/// seccomprules(8): compiles a policy, or explains it.
func seccomprules(_ call: Call) throws(Failure) -> Outcome {
    let usage = Failure(
        usage: "seccomprules [ -n ] [ -c caps ] [ -k kernel ] policy.bpf policy.tmp [ policy ]")
    var profileTarget = try ProfileTarget.current()
    var explains = false
    let long = [
        LongOption("caps", takesArgument: true, letter: "c"), LongOption("explain", letter: "n"),
        LongOption("kernel", takesArgument: true, letter: "k"),
    ]
    var reader = OptionReader(call.arguments, short: "c:k:n", long: long, messages: call.messages)
    while let option = reader.next() {
        guard case .option(let letter, let value) = option else { throw usage }
        switch letter {
        case "c":
            profileTarget.bounding = try CapabilityList(value).applied(
                to: profileTarget.bounding, all: .known)
        case "k":
            guard let version = ProfileTarget.version(value) else { throw usage }
            profileTarget.kernel = version
        default: explains = true
        }
    }
    let words = Array(call.arguments[reader.operands...])
    let files = explains ? 0 : 2
    guard (files...(files + 1)).contains(words.count) else { throw usage }
    let source =
        words.count > files
        ? try PolicySource.named(words[files], profileTarget) : try standardInput(profileTarget)
    if explains {
        let table = try explain(source)
        do throws(SystemError) { try writeAll(Standard.output, table) } catch {
            throw error.explained("unable to write")
        }
    } else {
        try SystemCallFilter.compile(source, to: words[0], through: words[1])
    }
    return .exit(0)
}

private func standardInput(_ profileTarget: ProfileTarget) throws(Failure) -> PolicySource {
    let text: [UInt8]
    do throws(SystemError) {
        text = try contents(of: Standard.input, limit: PolicySource.sizeLimit)
    } catch { throw error.explained("unable to read input") }
    return try PolicySource.read(text, file: "standard input", profileTarget)
}
