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
    var reader = OptionReader(call.arguments, SeccomprulesOption.names, call.messages)
    while let result = reader.next() {
        guard case .option(let option, let value) = result else { throw usage }
        switch option {
        case .capabilities:
            profileTarget.bounding = try CapabilityList(value).applied(
                to: profileTarget.bounding, all: .known)
        case .kernel:
            guard let version = ProfileTarget.version(value) else { throw usage }
            profileTarget.kernel = version
        case .explain: explains = true
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

private enum SeccomprulesOption {
    /// The bounding set that an OCI profile is compiled for.
    case capabilities
    /// The kernel that it is compiled for.
    case kernel
    /// Print what becomes of each call.
    case explain

    static var names: [OptionName<SeccomprulesOption>] {
        [
            OptionName("c", .capabilities, takesValue: true),
            OptionName(word: "caps", .capabilities, takesValue: true),
            OptionName("k", .kernel, takesValue: true),
            OptionName(word: "kernel", .kernel, takesValue: true),
            OptionName("n", .explain), OptionName(word: "explain", .explain),
        ]
    }
}

private func standardInput(_ profileTarget: ProfileTarget) throws(Failure) -> PolicySource {
    let text: [UInt8]
    do throws(SystemError) {
        text = try contents(of: Standard.input, limit: PolicySource.sizeLimit)
    } catch { throw error.explained("unable to read input") }
    return try PolicySource.read(text, file: "standard input", profileTarget)
}
