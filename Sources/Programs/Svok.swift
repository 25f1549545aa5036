import Bytes
import Commands
import Linux
import ServiceFiles
import Services

/// svok(8): tells by its exit code whether a service is supervised.
func svok(_ call: Call) throws(Failure) -> Outcome {
    guard call.arguments.count > 1 else { throw Failure(usage: "svok dir") }
    let directory = call.arguments[1]
    do throws(SystemError) { try changeDirectory(directory) } catch {
        throw error.explained("unable to chdir to \(directory)")
    }
    do throws(SystemError) {
        let states = StatePlaces(ofClientWith: call.environment)
        return .exit(try SuperviseDirectory(of: .current, or: states).isSupervised() ? 0 : 100)
    } catch {
        if error.errno == .noEntry { return .exit(100) }
        throw error.explained("unable to open \(directory)/supervise/ok")
    }
}
