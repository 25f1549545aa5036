import Bytes
import Formats
import Linux
import Testing

@testable import Networking

@Suite struct AccessTests {
    private func address(_ text: String) throws -> IPAddress {
        try #require(IPAddress(Array(text.utf8)[...]))
    }

    private func children(_ peers: [String]) throws -> Children {
        var children = Children()
        for (index, peer) in peers.enumerated() {
            children.add(ProcessID(index + 10), for: try address(peer))
        }
        return children
    }

    private func decide(
        _ peer: String, _ environment: [ByteString], _ children: Children = Children(),
        rules: ByteString? = nil, allowsWithoutRules: Bool = false
    ) throws -> Access.Verdict {
        var options = TCPServerOptions(host: "0", port: "0")
        options.rules = rules
        options.allowsWithoutRules = allowsWithoutRules
        let connection = Connection(localPort: 1, remote: try address(peer), remotePort: 2)
        var edits: [UInt8] = []
        var children = children
        return try Access(options, Environment(environment)).decide(
            connection, &children, nil, edits: &edits)
    }

    @Test("Children are counted by address and by network")
    func counting() throws {
        var children = try children(["10.0.0.1", "10.0.0.1", "10.0.0.9", "10.0.1.1", "::1"])
        #expect(children.count == 5)
        #expect(children.count(for: try address("10.0.0.1"), prefix: 32) == 2)
        #expect(children.count(for: try address("10.0.0.200"), prefix: 24) == 3)
        #expect(children.count(for: try address("10.0.0.200"), prefix: 0) == 4)
        #expect(children.count(for: try address("::2"), prefix: 64) == 1)
        let (known, unknown, again) = (
            children.remove(10), children.remove(99), children.remove(10)
        )
        #expect(known && !unknown && !again)
        #expect(children.count(for: try address("10.0.0.1"), prefix: 32) == 1)
    }

    @Test("Whoever was denied counts neither at all nor for its network, and is still known")
    func deniedChildren() throws {
        var children = try children(["10.0.0.1", "10.0.0.1", "10.0.0.2"])
        #expect(children.count(for: try address("10.0.0.1"), prefix: 32) == 2)
        children.deny(10)
        children.deny(10)
        children.deny(99)
        #expect(children.count == 2)
        #expect(children.count(for: try address("10.0.0.1"), prefix: 32) == 1)
        #expect(children.count(for: try address("10.0.0.1"), prefix: 24) == 2)
        let wasKnown = children.remove(10)
        #expect(wasKnown)
        #expect(children.count == 2)
        #expect(children.count(for: try address("10.0.0.1"), prefix: 32) == 1)
        // At most a hundred go uncounted.
        for pid in 100..<300 as Range<ProcessID> {
            children.add(pid, for: try address("10.9.9.9"))
            children.deny(pid)
        }
        #expect(children.count == 102)
        #expect(children.count(for: try address("10.9.9.9"), prefix: 32) == 100)
    }

    @Test("The token of the rate is taken before the number of connections is looked at")
    func rateFirst() throws {
        let options = TCPServerOptions(host: "0", port: "0")
        let access = Access(options, Environment(["MAXRATE=2/3600", "MAXCONNIP=0"]))
        let connection = Connection(localPort: 1, remote: try address("10.0.0.1"), remotePort: 2)
        let rates = RateTable()
        var children = Children()
        let denials = try (0..<4).map { _ in
            var edits: [UInt8] = []
            return try access.decide(connection, &children, rates, edits: &edits)
        }
        #expect(
            denials.map { $0.denial?.suffix } == [
                " MAXCONNIP:0", " MAXCONNIP:0", " MAXRATE:2/3600", " MAXRATE:2/3600",
            ])
        #expect(denials.map { $0.isHeld } == [true, true, false, false])
    }

    @Test("MAXCONNIP and MAXCONNC deny at their count, 0 denies always, unset never")
    func connectionLimits() throws {
        let running = try children(["10.0.0.1", "10.0.0.2", "10.0.0.2"])
        func reason(_ peer: String, _ variables: ByteString...) throws -> ByteString? {
            try decide(peer, variables, running).denial?.suffix
        }
        #expect(try reason("10.0.0.2") == nil)
        #expect(try reason("10.0.0.2", "MAXCONNIP=3") == nil)
        #expect(try reason("10.0.0.2", "MAXCONNIP=2") == " MAXCONNIP:2")
        #expect(try reason("10.0.0.1", "MAXCONNIP=2") == nil)
        #expect(try reason("10.9.9.9", "MAXCONNIP=0") == " MAXCONNIP:0")
        #expect(try reason("10.0.0.3", "MAXCONNC=3") == " MAXCONNC:3")
        #expect(try reason("10.0.1.3", "MAXCONNC=3") == nil)
        #expect(try reason("10.0.0.2", "MAXCONNC=1", "MAXCONNIP=1") == " MAXCONNIP:1")
        #expect(try reason("10.9.9.9", "MAXCONNC=0") == " MAXCONNC:0")
        #expect(try reason("10.0.0.2", "MAXCONN4=3/30,9/8") == " MAXCONN4:3/30")
        #expect(try reason("10.0.0.5", "MAXCONN4=3/30") == nil)
        #expect(try reason("10.0.0.5", "MAXCONN4=9/30,3/8") == " MAXCONN4:3/8")
        #expect(try reason("10.0.0.2", "MAXCONN4=2") == " MAXCONN4:2/32")
        #expect(try reason("10.9.9.9", "MAXCONN4=x/8") == " MAXCONN4:0/8")
        #expect(try reason("10.9.9.9", "MAXCONN6=0") == nil)
        #expect(try reason("::5", "MAXCONN6=0/64", "MAXCONN4=0") == " MAXCONN6:0/64")
    }

    @Test("A load above MAXLOAD denies, 0 turns it off")
    func loadLimit() throws {
        #expect(try decide("10.0.0.1", ["MAXLOAD=0"]).denial == nil)
        #expect(try decide("10.0.0.1", ["MAXLOAD=99999999"]).denial == nil)
    }

    @Test("The message of the reason replaces the general one when it is not empty")
    func messages() throws {
        let all: [ByteString] = ["DIEMSG=general", "DIEMSG_MAXCONNIP=too many", "DIEMSG_MAXCONNC="]
        #expect(try decide("10.0.0.1", all).message.isEmpty)
        #expect(try decide("10.0.0.1", all + ["MAXCONNIP=0"]).message == "too many")
        #expect(try decide("10.0.0.1", all + ["MAXCONNC=0"]).message == "general")
        #expect(try decide("10.0.0.1", ["MAXCONNC=0"]).message.isEmpty)
    }

    @Test("Only a limit or a message holds the client")
    func holding() throws {
        #expect(try !decide("10.0.0.1", ["DIEMSG=x"]).isHeld)
        #expect(try decide("10.0.0.1", ["MAXCONNIP=0"]).isHeld)
    }

    @Test("Rules that cannot be read let nobody in; a missing file does where that is wanted")
    func unreadable() throws {
        #expect(throws: SystemError.self) { try decide("10.0.0.1", [], rules: "/none/a.cdb") }
        #expect(
            try decide("10.0.0.1", [], rules: "/none/a.cdb", allowsWithoutRules: true).denial == nil
        )
        for call in ["open", "fstat"] {
            let seam = Seam()
            seam.fail(call, with: Errno(5))
            #expect(throws: SystemError.self, "\(call)") {
                try seam.during {
                    try decide("10.0.0.1", [], rules: "/etc/passwd", allowsWithoutRules: true)
                }
            }
        }
        #expect(throws: SystemError("read", .protocolError, subject: "/etc/passwd")) {
            try decide("10.0.0.1", [], rules: "/etc/passwd", allowsWithoutRules: true)
        }
        #expect(throws: SystemError.self) { try decide("10.0.0.1", [], rules: "/dev/null") }
    }
}
