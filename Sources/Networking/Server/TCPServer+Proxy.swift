import Bytes
import Commands
import Formats
import Linux

/// A connection from a proxy whose header has not come.
final class PendingConnection {
    /// What is known of it: the proxy.
    let connection: Connection
    private var socket: Descriptor?
    /// The socket's number, as long as it has not been taken.
    let number: Int32
    /// How many bytes of the banner have been sent.
    let greeted: Int
    let deadline: Instant
    /// How many bytes of the header have come.
    fileprivate var seen = 0

    /// Waits ten seconds for the header at most.
    init(_ connection: Connection, _ socket: consuming Descriptor, greeted: Int) {
        self.connection = connection
        number = socket.number
        self.socket = consume socket
        self.greeted = greeted
        deadline = Instant.now.advanced(milliseconds: 10_000)
    }

    /// Gives the socket away.
    fileprivate func takeSocket() -> Descriptor? { socket.take() }
}

/// Connections that proxies pass on. Until a proxy has said who its client is the server keeps the
/// connection itself, and no copy: limits and rates go by the client.
extension TCPServer {
    /// Goes on with the pending connections of which more has come, and drops those whose time is over.
    /// `awaited` is in their order.
    mutating func attendPending(_ awaited: ArraySlice<Awaited>) {
        let now = Instant.now
        // From the last one: what is pending no more leaves the others where they are.
        for (index, one) in zip(awaited.indices, awaited).reversed() {
            let place = index - awaited.startIndex
            if one.isReady {
                advancePending(place)
            } else if pending[place].deadline <= now {
                dropPending(place, SystemError("read", .timedOut))
            }
        }
    }

    /// Serves a pending connection if its header has come.
    mutating func advancePending(_ index: Int) {
        let one = pending[index]
        do throws(SystemError) {
            guard let header = try proxyHeader(one.number, seen: &one.seen) else { return }
            pending.remove(at: index)
            var connection = one.connection
            connection.take(header)
            if let socket = one.takeSocket() {
                serve(connection, socket, greeted: one.greeted)
            }
        } catch {
            dropPending(index, error)
        }
    }

    private mutating func dropPending(_ index: Int, _ error: SystemError) {
        pending.remove(at: index)
        warn("dropping connection, unable to read PROXY header", error.errno)
        log.status(connections, of: options.limit)
        log.write()
    }
}

/// Takes the PROXY header with which a connection begins, and no byte more, if all of it has come.
/// `seen` is how many bytes of it had come the last time, and is brought up to date; from then on the
/// socket is readable when there are more, or never will be. Throws EPROTO when this is no header.
private func proxyHeader(_ socket: Int32, seen: inout Int) throws(SystemError) -> ProxyHeader? {
    try withUnsafeTemporaryAllocation(byteCount: ProxyHeader.limit, alignment: 8) {
        (buffer) throws(SystemError) in
        let count: Int
        do throws(SystemError) { count = try peekNow(socket, buffer) } catch {
            if error.errno == .again { return nil }
            throw error
        }
        let start = UnsafeMutableRawBufferPointer(rebasing: buffer[..<count])
        switch ProxyHeader.read(UnsafeRawBufferPointer(start)) {
        case .incomplete where count > seen:
            seen = count
            try set(.leastReadable, to: Int32(count + 1), of: socket)
            return nil
        case .header(let header):
            if seen > 0 { try set(.leastReadable, to: 1, of: socket) }
            let whole = UnsafeMutableRawBufferPointer(rebasing: start[..<header.length])
            // It is there: one read takes all of it.
            if try read(socket, into: whole) == header.length { return header }
        case .incomplete, .invalid: break
        }
        throw SystemError("read", .protocolError)
    }
}
