import Bytes
import Commands
import Linux
import Logging

/// tai64nlocal(8): turns stamps into local time. Like the original it is silent about errors,
/// but for a lack of memory, which the original does not need.
func tai64nlocal(_ call: Call) throws(Failure) -> Outcome {
    var filter = LocalTimeFilter()
    do throws(SystemError) {
        try LocalTime.useZone(of: call.environment)
        try filter.run()
    } catch {
        if error.errno == .noMemory { throw error.explained("unable to get room for lines") }
        return .exit(111)
    }
    return .exit(0)
}
