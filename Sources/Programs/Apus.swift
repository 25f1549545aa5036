import Bytes
import Commands
import Supervision

/// apus(8): what the binary does under its own name.
func apus(_ call: Call) throws(Failure) -> Outcome {
    var words = call.arguments.dropFirst()
    guard let option = words.popFirst() else {
        try writeOutput(helpText())
        return .exit(100)
    }
    if option == "--install" || option == "--force" {
        try install(words, forces: option == "--force", call.messages)
        return .exit(0)
    }
    if !option.hasPrefix("-") {
        throw Failure(
            "there is no program \(option) in this binary; --list lists them", exitCode: 100)
    }
    guard words.isEmpty else { throw usage }
    switch option {
    case "--help": try writeOutput(helpText())
    case "--list": try writeOutput(programNames())
    case "--version": try writeOutput(Array(ByteString("apus \(version)\n").bytes))
    // A supervisor asks it of a binary that it is to become.
    case "--table-version": try writeOutput(Array(Upgrade.version.bytes))
    default: throw usage
    }
    return .exit(0)
}

/// The options that are apus's own even as process 1, where all others are those of init.
func isOwnOption(_ word: ByteString) -> Bool {
    switch word {
    case "--force", "--help", "--install", "--list", "--table-version", "--version": true
    default: false
    }
}

private let usage = Failure(
    usage:
        "apus program [ arg ... ] | --install [ --force ] directory | --help | --list | --version")

/// The rest of `apus --install`, or of `apus --force --install`.
private func install(
    _ words: ArraySlice<ByteString>, forces: Bool, _ messages: Messages
) throws(Failure) {
    var words = words
    let second: ByteString = forces ? "--install" : "--force"
    let hasSecond = words.first == second
    if hasSecond { words = words.dropFirst() }
    if words.first == "--" { words = words.dropFirst() }
    guard words.count == 1, let directory = words.first, !directory.isEmpty, hasSecond || !forces
    else { throw usage }
    let installation = Installation(
        in: directory, replacingFiles: forces || hasSecond, messages: messages)
    try installation.perform()
}

/// The names of all programs, one a line.
private func programNames() -> [UInt8] {
    var text: [UInt8] = []
    for index in Program.all.indices { text += ByteString("\(Program.all[index].name)\n").bytes }
    return text
}

/// The usage, and what each program does.
private func helpText() -> [UInt8] {
    var text: [UInt8] = Array(
        ByteString(
            """
            usage: apus program [ arg ... ]
                   apus --install [ --force ] directory
                   apus --help | --list | --version


            """
        ).bytes)
    for index in Program.all.indices {
        let program = Program.all[index]
        let name = ByteString(program.name)
        text += name.bytes
        text += [UInt8](repeating: UInt8(ascii: " "), count: max(1, 16 - name.count))
        text += ByteString("\(program.summary)\n").bytes
    }
    return text
}
