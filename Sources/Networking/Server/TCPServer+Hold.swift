import Bytes
import Commands
import Linux

/// A client that was denied and is held for a moment: it reads what it is told before its connection is
/// closed, and waits before it tries again. It does not count towards any limit.
final class HeldClient {
    private let socket: Descriptor
    let deadline: Instant

    /// Holds the client at the other end of `socket` from now on.
    init(_ socket: consuming Descriptor) {
        self.socket = socket
        deadline = Instant.now.advanced(milliseconds: HeldClient.milliseconds)
    }

    /// For how long.
    static let milliseconds: UInt64 = 1000
    /// How many there may be; who comes on top drives the first one out.
    static let limit = 100
}

extension TCPServer {
    mutating func hold(_ socket: consuming Descriptor) {
        if held.count == HeldClient.limit { held.removeFirst() }
        held.append(HeldClient(socket))
    }

    mutating func releaseHeldClients() {
        if held.isEmpty { return }
        let now = Instant.now
        held.removeFirst(held.prefix { $0.deadline <= now }.count)
    }
}

/// By which copies of the server tell that they hold a client that was denied, and do not count.
final class DenialPipe {
    private let pipe: Pipe

    init() throws(Failure) {
        do throws(SystemError) {
            pipe = try Pipe()
            // Copies do not wait for a server that does not read.
            try setNonBlocking(pipe.reader.number, true)
            try setNonBlocking(pipe.writer.number, true)
        } catch { throw error.explained("unable to create pipe") }
    }

    /// The descriptor that is readable when a copy has told.
    var number: Int32 { pipe.reader.number }

    /// Tells of this process. A server that does not hear it goes on counting this copy.
    func report() {
        var pid = CurrentProcess.id
        withUnsafeBytes(of: &pid) {
            do throws(SystemError) { _ = try pipe.writer.write($0) } catch {}
        }
    }

    /// Calls `body` with the process ids that have come: each is a number of four bytes.
    func forEach(_ body: (ProcessID) -> Void) {
        withUnsafeTemporaryAllocation(of: ProcessID.self, capacity: 64) { pids in
            let count: Int
            do throws(SystemError) {
                count = try pipe.reader.read(into: UnsafeMutableRawBufferPointer(pids))
            } catch { return }
            for pid in pids[..<(count / MemoryLayout<ProcessID>.stride)] { body(pid) }
        }
    }
}
