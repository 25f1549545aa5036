import Bytes
import Commands
import Linux
import Logging

/// tai64n(8): stamps each line of standard input. Like the original it is silent about errors,
/// but for a lack of memory, which the original does not need.
func tai64n(_ call: Call) throws(Failure) -> Outcome {
    var filter = StampFilter()
    do throws(SystemError) { try filter.run() } catch {
        if error.errno == .noMemory { throw error.explained("unable to get room for lines") }
        return .exit(111)
    }
    return .exit(0)
}
