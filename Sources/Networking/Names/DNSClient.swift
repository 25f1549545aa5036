import Bytes
import Commands
import Formats
import Linux

/// Nobody could answer, or there is no such question. A name that does not exist is no error.
struct LookUpError: Error {}

/// Asks name servers for what libc's resolver does not offer. Like the originals, it waits 3, 11 and then
/// 45 seconds for each server, and asks over TCP for what is too long for a datagram.
public struct DNSClient {
    private static let port: UInt16 = 53
    private static let rounds: [UInt64] = [3000, 11_000, 45_000]
    private static let streamTimeout: UInt64 = 10_000
    private static let answerLimit = 65535
    private let environment: Environment
    private var servers: [IPAddress] = []

    /// Asks the servers that `environment` and /etc/resolv.conf name when the first question comes.
    public init(_ environment: Environment) { self.environment = environment }

    /// The data of the records of `type` that `name` has; none if there is no such name.
    mutating func records(_ name: [UInt8], _ type: DNSRecordType) throws(LookUpError)
        -> [ArraySlice<UInt8>]
    {
        guard let query = DNSQuery(name, type, id: .random(in: .min ... .max)) else {
            throw LookUpError()
        }
        if servers.isEmpty { servers = NameServers.configured(environment) }
        // One that has said that it cannot tell, or that is not there, is not asked again.
        var candidates = servers
        for timeout in DNSClient.rounds {
            for server in candidates {
                switch ask(server, query, milliseconds: timeout) {
                case .silence: continue
                case .failure: candidates.removeAll { $0 == server }
                case .answer(let answer):
                    guard let data = answer.data(type) else { throw LookUpError() }
                    return data
                }
            }
        }
        throw LookUpError()
    }

    private enum Result {
        case answer(DNSAnswer)
        case failure
        case silence
    }

    private func ask(_ server: IPAddress, _ query: DNSQuery, milliseconds: UInt64) -> Result {
        do throws(SystemError) {
            let deadline = Instant.now.advanced(milliseconds: milliseconds)
            guard let answer = try askInDatagram(server, query, until: deadline) else {
                return .silence
            }
            if answer.isFailure { return .failure }
            guard answer.isTruncated else { return .answer(answer) }
            let complete = try askInStream(server, query)
            return complete.isFailure || complete.isTruncated ? .failure : .answer(complete)
        } catch {
            return .failure
        }
    }

    /// Nil when no answer came in time. A new socket has a new port, which an attacker has to guess.
    private func askInDatagram(_ server: IPAddress, _ query: DNSQuery, until deadline: Instant)
        throws(SystemError) -> DNSAnswer?
    {
        let socket = try makeDatagramSocket(isIPv6: server.isIPv6)
        try connect(socket, to: SocketAddress(server, port: DNSClient.port), until: deadline)
        try writeAll(socket.number, query.bytes)
        let block = ByteBlock(count: 4096)
        while try wait(for: socket.number, until: deadline) {
            let count = try socket.read(into: block.bytes)
            if let answer = DNSAnswer(Array(block[0..<count]), to: query) { return answer }
        }
        return nil
    }

    private func askInStream(_ server: IPAddress, _ query: DNSQuery) throws(SystemError)
        -> DNSAnswer
    {
        let deadline = Instant.now.advanced(milliseconds: DNSClient.streamTimeout)
        let socket = try makeSocket(isIPv6: server.isIPv6)
        try connect(socket, to: SocketAddress(server, port: DNSClient.port), until: deadline)
        let length = UInt16(query.bytes.count)
        try writeAll(socket.number, [UInt8(length >> 8), UInt8(length & 255)] + query.bytes)
        let prefix = try readExactly(2, socket, until: deadline)
        let count = Int(prefix[0]) << 8 | Int(prefix[1])
        let bytes = try readExactly(count, socket, until: deadline)
        guard let answer = DNSAnswer(bytes, to: query) else {
            throw SystemError("read", .protocolError)
        }
        return answer
    }

    private func readExactly(
        _ count: Int, _ socket: borrowing Descriptor, until deadline: Instant
    ) throws(SystemError) -> [UInt8] {
        let block = ByteBlock(count: max(count, 1))
        var filled = 0
        while filled < count {
            guard try wait(for: socket.number, until: deadline) else {
                throw SystemError("read", .timedOut)
            }
            let rest = UnsafeMutableRawBufferPointer(rebasing: block.bytes[filled..<count])
            let got = try socket.read(into: rest)
            if got == 0 { throw SystemError("read", .protocolError) }
            filled += got
        }
        return Array(block[0..<count])
    }
}
