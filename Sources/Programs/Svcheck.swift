import Bytes
import Commands
import Linux
import ServiceFiles
import Services

/// svcheck(8): checks scan directories and service directories.
func svcheck(_ call: Call) throws(Failure) -> Outcome {
    var reader = OptionReader(call.arguments, [OptionName<Never>](), call.messages)
    if reader.next() != nil { throw Failure(usage: "svcheck [ directory ... ]") }
    var directories = Array(call.arguments.dropFirst(reader.operands))
    if directories.isEmpty { directories = [defaultDirectory()] }
    let states = StatePlaces(ofClientWith: call.environment)
    var code: Int32 = 0
    for directory in directories {
        let problems: [DefinitionProblem]
        do throws(SystemError) {
            problems = try ServiceCheck(directory, states: states).problems
        } catch {
            code = 111
            call.messages.report(error.explained("unable to check \(directory)"))
            continue
        }
        if !problems.isEmpty && code == 0 { code = 1 }
        var text: [UInt8] = []
        for problem in problems {
            text += problem.description.bytes
            text.append(UInt8(ascii: "\n"))
        }
        try writeOutput(text)
    }
    return .exit(code)
}
