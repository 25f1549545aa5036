import Bytes
import Commands
import Linux
import Logging

/// tai64n(8): stamps each line of standard input. Like the original it is silent about errors.
func tai64n(_ call: Call) throws(Failure) -> Outcome {
    var filter = StampFilter()
    do throws(SystemError) { try filter.run() } catch { return .exit(111) }
    return .exit(0)
}
