import Bytes
import Commands
import Linux
import Logging

/// tai64nlocal(8): turns stamps into local time. Like the original it is silent about errors.
func tai64nlocal(_ call: Call) throws(Failure) -> Outcome {
    var filter = LocalTimeFilter()
    do throws(SystemError) {
        try LocalTime.useZone(of: call.environment)
        try filter.run()
    } catch { return .exit(111) }
    return .exit(0)
}
