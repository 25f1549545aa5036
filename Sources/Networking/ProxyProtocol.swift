import Formats
import Linux

/// Takes the PROXY header with which a connection begins, if all of it has come. Nil when it has not, or
/// when it is none; then nothing has been taken.
func proxyHeaderAtOnce(_ socket: Int32) -> ProxyHeader? {
    withUnsafeTemporaryAllocation(byteCount: 1024, alignment: 8) { buffer in
        do throws(SystemError) {
            let count = try peekNow(socket, buffer)
            let start = UnsafeMutableRawBufferPointer(rebasing: buffer[..<count])
            guard case .header(let header) = ProxyHeader.read(UnsafeRawBufferPointer(start)) else {
                return nil
            }
            let whole = UnsafeMutableRawBufferPointer(rebasing: buffer[..<header.length])
            // It is there: one read takes all of it.
            guard try read(socket, into: whole) == header.length else { return nil }
            return header
        } catch { return nil }
    }
}

/// Reads the PROXY header with which a connection begins, and no byte more. Throws EPROTO when it is
/// none, or not complete within `seconds`.
func proxyHeader(_ socket: Int32, seconds: UInt64) throws(SystemError) -> ProxyHeader {
    let deadline = Instant.now.advanced(milliseconds: seconds * 1000)
    var bytes: [UInt8] = []
    while true {
        switch bytes.withUnsafeBytes({ ProxyHeader.read($0) }) {
        case .header(let header): return header
        case .invalid: throw SystemError("read", .protocolError)
        case .needs(let missing):
            guard try wait(for: socket, until: deadline) else {
                throw SystemError("read", .timedOut)
            }
            let more = try withUnsafeTemporaryAllocation(byteCount: missing, alignment: 1) {
                (buffer) throws(SystemError) in
                let count = try read(socket, into: buffer)
                return [UInt8](buffer[..<count])
            }
            if more.isEmpty { throw SystemError("read", .protocolError) }
            bytes += more
        }
    }
}
