import Bytes
import CLinux

/// Starts writing a file's data to disk without waiting for it, so that a later `synchronize` has
/// less to wait for. sync_file_range(2).
public func startWriteback(_ descriptor: borrowing Descriptor) throws(SystemError) {
    let number = descriptor.number
    _ = try Kernel.call("sync_file_range") {
        sync_file_range(number, 0, 0, UInt32(SYNC_FILE_RANGE_WRITE))
    }
}
