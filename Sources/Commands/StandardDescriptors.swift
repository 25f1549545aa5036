import Bytes
import Linux

/// Opens /dev/null in the place of each standard descriptor that is closed: a file opened later might become
/// standard error, and be written to.
public func openStandardDescriptors(_ messages: Messages) {
    for descriptor in Standard.input...Standard.error {
        do throws(SystemError) { try ensureOpen(descriptor) } catch {
            messages.warning("unable to open descriptor \(descriptor)", error.errno)
        }
    }
}
