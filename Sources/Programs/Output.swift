import Bytes
import Commands
import Linux

/// Writes all that a program prints to standard output.
func writeOutput(_ text: [UInt8]) throws(Failure) {
    do throws(SystemError) { try writeAll(Standard.output, text) } catch {
        throw error.explained("unable to write output")
    }
}
