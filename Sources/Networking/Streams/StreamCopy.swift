import Bytes
import Linux

/// Which side of a copy failed, and why.
public enum CopyError: Error {
    /// The source could not be read.
    case read(SystemError)
    /// The target could not be written.
    case write(SystemError)
}

/// Copies `source` to `target` through `filter` until end of file. What one read gave is written before
/// the next, so that nothing waits in here for more to come.
public func copy<Filter: ByteFilter>(
    from source: Int32, to target: Int32, through filter: Filter
) throws(CopyError) {
    var filter = filter
    let block = ByteBlock(count: 65536)
    let output = ByteBlock(count: Filter.outputRoom(block.bytes.count))
    var failure: CopyError?
    var got = 0
    repeat {
        do throws(SystemError) { got = try read(source, into: block.bytes) } catch {
            // What came before is not lost.
            failure = .read(error)
            got = 0
        }
        let count =
            got == 0
            ? filter.finish(to: output.bytes) : filter.apply(block[0..<got], to: output.bytes)
        do throws(SystemError) { try writeAll(target, output[0..<count]) } catch {
            throw .write(error)
        }
    } while got > 0
    if let failure { throw failure }
}

/// Writes all of `bytes`, in as many calls as it takes.
func writeAll(_ descriptor: Int32, _ bytes: UnsafeRawBufferPointer) throws(SystemError) {
    var rest = bytes
    while !rest.isEmpty {
        rest = UnsafeRawBufferPointer(rebasing: rest[try write(descriptor, rest)...])
    }
}
