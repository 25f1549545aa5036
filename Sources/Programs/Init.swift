import Bytes
import Commands
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
    let usage = Failure(
        usage:
            """
            init [ -s directory ] [ -t seconds ] [ -w seconds ] [ -r signal:signal ] [ -o plain|names|json ] \
            [ -v level ] [ -- command arg ... ]
            """
    )
    var options = Init.Options()
    for (setting, value) in options.read(call.environment) {
        call.messages.warning(
            "ignoring \(setting.variable)=\(value): it must be \(setting.expectation)")
    }
    let names = InitSetting.allCases.flatMap {
        [
            OptionName($0.letter, $0, takesValue: true),
            OptionName(word: $0.word, $0, takesValue: $0 != .wait, mayTakeValue: $0 == .wait),
        ]
    }
    var reader = OptionReader(call.arguments, names, call.messages)
    while let option = reader.next() {
        guard case .option(let setting, let value) = option,
            options.set(setting, setting == .wait && value.isEmpty ? "yes" : value)
        else { throw usage }
    }
    options.command = Array(call.arguments[reader.operands...])
    var messages = call.messages
    messages.verbosity = options.verbosity
    if let word = options.command.first, word.hasPrefix("-") {
        messages.warning(
            "the command is \(word): options of init come before --, as in: init -t 20 -- command")
    }
    do throws(Failure) {
        return .exit(
            try Init(options, environment: call.environment, messages: messages).run())
    } catch {
        leaveWord(of: error, messages)
        throw error
    }
}
