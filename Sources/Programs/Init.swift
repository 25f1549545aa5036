import Bytes
import Commands
import Init
import Linux

/// init(8): process 1, or the same under any other process id.
func initialize(_ call: Call) throws(Failure) -> Outcome {
    do throws(SystemError) { try Init.holdSignals() } catch {
        throw error.explained("unable to block signals")
    }
    let usage: ByteString = "init [ -s directory ] [ -t seconds ] [ -- command arg ... ]"
    var options = Init.Options()
    var reader = OptionReader(
        call.arguments, short: "s:t:",
        long: [
            LongOption("services", takesArgument: true, letter: "s"),
            LongOption("stop-timeout", takesArgument: true, letter: "t"),
        ], messages: call.messages)
    while let option = reader.next() {
        switch option {
        case .option("s", let directory):
            options.services = directory
            options.servicesAreExplicit = true
        case .option(_, let seconds):
            let (value, length) = scanDecimal(seconds.bytes)
            guard length > 0, length == seconds.count, value <= 86400 else {
                throw Failure(usage: usage)
            }
            options.stopLimit = UInt64(value) * 1000
        case .wrong: throw Failure(usage: usage)
        }
    }
    options.command = Array(call.arguments[reader.operands...])
    let process = try Init(options, messages: call.messages)
    return .exit(process.run(environment: call.environment))
}
