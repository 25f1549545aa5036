import Bytes
import CLinux

/// An open file descriptor with one owner, closed when the owner drops it. Every descriptor made in
/// this module is close-on-exec.
@frozen public struct Descriptor: ~Copyable {
    /// The kernel's number, for calls that do not take ownership.
    public let number: Int32

    /// Takes ownership of an open descriptor.
    public init(owning number: Int32) { self.number = number }

    deinit { _ = CLinux.close(number) }

    /// Gives up ownership; the caller closes, or lets an exec inherit, the number returned.
    public consuming func release() -> Int32 {
        let released = number
        discard self
        return released
    }

    /// Closes now and reports what close(2) said, which matters for written files.
    public consuming func close() throws(SystemError) {
        let number = release()
        // Linux frees the number even when interrupted, so this is not retried.
        do throws(SystemError) {
            _ = try Kernel.call("close", retry: false) { CLinux.close(number) }
        } catch {
            if error.errno != .interrupted { throw error }
        }
    }

    /// A second descriptor for the same open file, at `minimum` or above. fcntl(2) F_DUPFD_CLOEXEC.
    public borrowing func duplicate(minimum: Int32 = 0) throws(SystemError) -> Descriptor {
        let number = number
        return Descriptor(
            owning: try Kernel.call("fcntl") { cl_fcntl(number, F_DUPFD_CLOEXEC, minimum) })
    }

    /// Reads at most `buffer.count` bytes; 0 at end of file. read(2).
    public borrowing func read(into buffer: UnsafeMutableRawBufferPointer) throws(SystemError)
        -> Int
    { try Linux.read(number, into: buffer) }

    /// Writes some of `buffer` and returns how many bytes. write(2).
    public borrowing func write(_ buffer: UnsafeRawBufferPointer) throws(SystemError) -> Int {
        try Linux.write(number, buffer)
    }
}

/// The descriptors every program starts with; they belong to the process, not to a `Descriptor`.
public enum Standard {
    /// Standard input.
    public static let input: Int32 = 0
    /// Standard output.
    public static let output: Int32 = 1
    /// Standard error.
    public static let error: Int32 = 2
}

/// Reads at most `buffer.count` bytes from `descriptor`; 0 at end of file. read(2).
public func read(_ descriptor: Int32, into buffer: UnsafeMutableRawBufferPointer)
    throws(SystemError) -> Int
{ try Kernel.call("read") { CLinux.read(descriptor, buffer.baseAddress, buffer.count) } }

/// Writes some of `buffer` and returns how many bytes. write(2).
public func write(_ descriptor: Int32, _ buffer: UnsafeRawBufferPointer) throws(SystemError)
    -> Int
{ try Kernel.call("write") { CLinux.write(descriptor, buffer.baseAddress, buffer.count) } }

/// Writes all of `bytes`, in as many calls as it takes.
public func writeAll(_ descriptor: Int32, _ bytes: [UInt8]) throws(SystemError) {
    try bytes.withUnsafeBufferPointer { (buffer) throws(SystemError) -> Void in
        var rest = UnsafeRawBufferPointer(buffer)[...]
        while !rest.isEmpty {
            rest = rest.dropFirst(try write(descriptor, UnsafeRawBufferPointer(rebasing: rest)))
        }
    }
}

/// A pipe, both ends close-on-exec. pipe2(2).
@frozen public struct Pipe: ~Copyable {
    /// Where to read.
    public var reader: Descriptor
    /// Where to write.
    public var writer: Descriptor

    /// Makes a pipe; `flags` is 0 or O_NONBLOCK.
    public init(flags: Int32 = 0) throws(SystemError) {
        var ends: (Int32, Int32) = (-1, -1)
        _ = try Kernel.call("pipe2") {
            withUnsafeMutableBytes(of: &ends) {
                pipe2($0.baseAddress?.assumingMemoryBound(to: Int32.self), flags | O_CLOEXEC)
            }
        }
        reader = Descriptor(owning: ends.0)
        writer = Descriptor(owning: ends.1)
    }
}
