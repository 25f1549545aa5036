import Bytes
import Testing

@testable import Linux

@Suite("Name servers")
struct NameServerTests {
    /// Calls `body` with the path of a resolv.conf with this text.
    private func withFile<Result>(_ text: StaticString, _ body: (ByteString) throws -> Result)
        throws -> Result
    {
        let file = try makeMemoryFile("resolv.conf")
        try writeAll(file.number, Array(ByteString("\(text)").bytes))
        return try body("/proc/self/fd/\(file.number)")
    }

    /// Whether the servers of a resolv.conf with this text can be asked.
    private func canAsk(_ text: StaticString) throws -> Bool {
        try withFile(text) { canAskNameServers($0) }
    }

    @Test("A server is what follows the word nameserver at the start of a line")
    func configured() throws {
        let text: StaticString = """
            # nameserver 1.1.1.1
            search example
            nameserver 10.0.0.1
            nameserver\t 10.0.0.2  # second
            nameserver 2001:db8::53
             nameserver 10.0.0.3
            nameserver
            nameservers 10.0.0.4
            """
        #expect(
            try withFile(text) { configuredNameServers($0) } == [
                "10.0.0.1", "10.0.0.2", "2001:db8::53",
            ])
        #expect(configuredNameServers("/nonexistent/resolv.conf").isEmpty)
    }

    @Test("One that there is a way to is enough")
    func oneIsEnough() throws {
        #expect(try canAsk("nameserver 127.0.0.1\n"))
        #expect(try canAsk("search example.org\nnameserver ::zz\nnameserver\t127.0.0.53"))
    }

    @Test("None is not asked")
    func none() throws {
        #expect(try !canAsk(""))
        #expect(try !canAsk("# nameserver 127.0.0.1\nnameserver\noptions ndots:1\n"))
        #expect(!canAskNameServers("/nonexistent/resolv.conf"))
    }

    @Test("One that there is no way to is not asked")
    func unreachable() throws {
        let seam = Seam()
        seam.fail("connect", with: Errno(101), times: 2)
        try seam.during {
            let canAskThem = try canAsk("nameserver 192.0.2.1\nnameserver 2001:db8::1\n")
            #expect(!canAskThem)
        }
    }
}
