import Bytes
import Commands
import Formats
import Init
import Linux

/// init(8): process 1, or the same under any other process id.
func initialize(_ call: Call) throws(Failure) -> Outcome {
    if MachineFacts.isProcessOne(call.environment) {
        MachineInit(call.messages).run(call.environment)
    }
    do throws(SystemError) { try Init.holdSignals() } catch {
        throw error.explained("unable to block signals")
    }
    let usage: ByteString =
        "init [ -s directory ] [ -t seconds ] [ -o plain|names|json ] [ -- command arg ... ]"
    var options = Init.Options()
    if let text = call.environment["INIT_STOP_TIMEOUT"] {
        if let seconds = stopTimeout(text) {
            options.stopLimit = seconds
        } else {
            call.messages.warning(
                "INIT_STOP_TIMEOUT is \(text), which is no number of seconds up to 86400; the limit stays at \(options.stopLimit / 1000)"
            )
        }
    }
    if let text = call.environment["INIT_OUTPUT"] {
        if let form = OutputForm(text) {
            options.lineForm = form.lines
        } else {
            call.messages.warning(
                "INIT_OUTPUT is \(text), which is none of plain, names and json: output stays as it is"
            )
        }
    }
    var reader = OptionReader(call.arguments, InitOption.names, call.messages)
    while let option = reader.next() {
        switch option {
        case .option(.services, let directory):
            options.services = directory
            options.servicesAreExplicit = true
        case .option(.stopTimeout, let seconds):
            guard let limit = stopTimeout(seconds) else { throw Failure(usage: usage) }
            options.stopLimit = limit
        case .option(.output, let text):
            guard let form = OutputForm(text) else { throw Failure(usage: usage) }
            options.lineForm = form.lines
        case .wrong: throw Failure(usage: usage)
        }
    }
    options.command = Array(call.arguments[reader.operands...])
    if let word = options.command.first, word.hasPrefix("-") {
        call.messages.warning(
            "the command is \(word): options of init come before --, as in: init -t 20 -- command")
    }
    let process = try Init(options, environment: call.environment, messages: call.messages)
    return .exit(process.run())
}

/// Milliseconds; nil unless `text` is a number of seconds, up to a day.
private func stopTimeout(_ text: ByteString) -> UInt64? {
    parseDecimal(text, within: 0...86400).map { UInt64($0) * 1000 }
}

/// What `-o` and `INIT_OUTPUT` say.
private struct OutputForm {
    /// Nil to leave lines as they are.
    let lines: ServiceLineForm?

    init?(_ text: ByteString) {
        if text == "plain" {
            lines = nil
        } else if text == "names" {
            lines = .named(inColour: true)
        } else if text == "json" {
            lines = .json
        } else {
            return nil
        }
    }
}

private enum InitOption {
    /// The scan directory.
    case services
    /// How long the stop may take.
    case stopTimeout
    /// What lines of services look like.
    case output

    static var names: [OptionName<InitOption>] {
        [
            OptionName("s", .services, takesValue: true),
            OptionName(word: "services", .services, takesValue: true),
            OptionName("t", .stopTimeout, takesValue: true),
            OptionName(word: "stop-timeout", .stopTimeout, takesValue: true),
            OptionName("o", .output, takesValue: true),
            OptionName(word: "output", .output, takesValue: true),
        ]
    }
}
