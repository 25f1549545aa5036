import Bytes
import Commands
import Linux
import Logging

private let usage: StaticString =
    "multilog [ --on-stall=wait|drop ] [ --queue=bytes ] [ action ... ]"

/// multilog(8): logs standard input to directories, as its script says.
func multilog(_ call: Call) throws(Failure) -> Outcome {
    var script = call.arguments.dropFirst()
    let policy = try stallPolicy(&script)
    return .exit(try Multilog(LogScript(script), policy, call).run())
}

/// Takes the options from the front of the script. Every other word that begins with a dash is a
/// pattern, so this is not for getopt(3).
private func stallPolicy(_ script: inout ArraySlice<ByteString>) throws(Failure) -> StallPolicy {
    var queueSize = 1 << 20
    var drops = false
    while let word = script.first {
        if word.hasPrefix("--on-stall=") {
            drops = word == "--on-stall=drop"
            guard drops || word == "--on-stall=wait" else {
                throw Failure(usage: ByteString(usage))
            }
        } else if word.hasPrefix("--queue=") {
            let digits = word.bytes.dropFirst(8)
            let (value, length) = scanDecimal(digits)
            guard length > 0, length == digits.count, value <= 1 << 30 else {
                throw Failure(usage: ByteString(usage))
            }
            queueSize = Int(value)
        } else {
            break
        }
        script.removeFirst()
    }
    return drops ? .dropOldest(queueSize: queueSize) : .wait
}
