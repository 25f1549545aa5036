import Bytes
import Commands
import Formats
import Linux
import Networking

/// tcprulescheck(1): shows which access rule applies to the connection its environment describes.
func tcprulescheck(_ call: Call) throws(Failure) -> Outcome {
    guard call.arguments.count >= 2 else { throw Failure(usage: "tcprulescheck rules.cdb") }
    let environment = call.environment
    let query = AccessQuery(
        address: Array((environment["TCPREMOTEIP"] ?? "0.0.0.0").bytes),
        host: environment["TCPREMOTEHOST"].map { Array($0.bytes) },
        info: environment["TCPREMOTEINFO"].map { Array($0.bytes) })
    let text = try explainAccess(call.arguments[1], query)
    try writeOutput(text)
    return .exit(0)
}
