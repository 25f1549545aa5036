import Bytes
import Commands
import Linux
import Logging

/// svoutput(8): puts the name of a service before each of its lines. init has one for all services without a logger.
func svoutput(_ call: Call) throws(Failure) -> Outcome {
    let usage = Failure(usage: "svoutput [ -j ] [ name ]")
    var isJSON = false
    var reader = OptionReader(
        call.arguments, [OptionName("j", true), OptionName(word: "json", true)], call.messages)
    while let result = reader.next() {
        guard case .option = result else { throw usage }
        isJSON = true
    }
    let words = call.arguments[reader.operands...]
    if words.count > 1 { throw usage }
    // As https://no-color.org has it.
    let inColour = call.environment["NO_COLOR"].map { $0.isEmpty } ?? true
    openStandardDescriptors(call.messages)
    // init starts it by another name. A lack of its own would do no harm.
    do throws(SystemError) { try CurrentProcess.setName(call.messages.program) } catch {}
    do throws(SystemError) {
        var relay = try OutputRelay(
            Standard.input, name: words.first, isJSON: isJSON, inColour: inColour,
            program: call.messages.program)
        try relay.run()
    } catch { throw error.explained("unable to pass lines on") }
    return .exit(0)
}
