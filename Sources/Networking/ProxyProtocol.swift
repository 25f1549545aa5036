import Bytes
import Formats
import Linux

/// Takes the PROXY header with which a connection begins, and no byte more, if all of it has come.
/// `seen` is how many bytes of it had come the last time, and is brought up to date; from then on the
/// socket is readable when there are more, or never will be. Throws EPROTO when this is no header.
func proxyHeader(_ socket: Int32, seen: inout Int) throws(SystemError) -> ProxyHeader? {
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

/// Connections that proxies pass on. Until a proxy has said who its client is the server keeps the
/// connection itself, and no copy: limits and rates go by the client.
extension TCPServer {
    /// A connection whose header has not come.
    struct Pending {
        var connection: Connection
        let socket: Int32
        /// How many bytes of the banner have been sent.
        let greeted: Int
        let deadline: Instant
        /// How many bytes of the header have come.
        var seen = 0
    }

    /// Waits until something happens, and goes on with those of which more has come. Returns whether
    /// there may be a new connection, if `listening`.
    mutating func attendPending(listening: Bool) -> Bool {
        var awaited = [Awaited(listening ? listener.socket : -1)]
        for one in pending { awaited.append(Awaited(one.socket)) }
        signals.wait(for: &awaited, until: pending[0].deadline)
        // From the last one: what is pending no more leaves the others where they are.
        for index in pending.indices.reversed() {
            if awaited[index + 1].isReady {
                goOn(index)
            } else if pending[index].deadline <= .now {
                drop(index, SystemError("read", .timedOut))
            }
        }
        return awaited[0].isReady
    }

    /// Goes on with a pending connection if its header has come.
    mutating func goOn(_ index: Int) {
        do throws(SystemError) {
            guard let header = try proxyHeader(pending[index].socket, seen: &pending[index].seen)
            else { return }
            var one = pending.remove(at: index)
            one.connection.take(header)
            serve(one.connection, one.socket, greeted: one.greeted)
            closeInherited(one.socket)
        } catch {
            drop(index, error)
        }
    }

    private mutating func drop(_ index: Int, _ error: SystemError) {
        closeInherited(pending.remove(at: index).socket)
        warn("dropping connection, unable to read PROXY header", error.errno)
        log.status(connections, of: options.limit)
        log.write()
    }
}
