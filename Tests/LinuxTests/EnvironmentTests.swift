import Bytes
import Linux
import Testing

@Suite("Environments")
struct EnvironmentTests {
    @Test("Setting replaces every old entry and appends the new one")
    func set() {
        var environment = Environment(["A=1", "B=2", "A=3"])
        environment.set("A", "x=y")
        #expect(environment.entries == ["B=2", "A=x=y"])
        #expect(environment["A"] == "x=y")
    }

    @Test("A name is matched whole")
    func names() {
        var environment = Environment(["PATHS=1", "PATH=2", "NOEQUALS"])
        #expect(environment["PATH"] == "2")
        #expect(environment["NOEQUALS"] == nil)
        environment.unset("PATH")
        #expect(environment.entries == ["PATHS=1", "NOEQUALS"])
    }
}

@Suite("Error texts")
struct ErrnoTests {
    @Test("The texts are daemontools' own, not strerror's")
    func texts() {
        #expect(ByteString("\(Errno.accessDenied.text)") == "access denied")
        #expect(ByteString("\(Errno.notPermitted.text)") == "permission denied")
        #expect(ByteString("\(Errno.again.text)") == "temporary failure")
        #expect(ByteString("\(Errno.noEntry.text)") == "file does not exist")
        #expect(ByteString("\(Errno(0).text)") == "no error")
        #expect(ByteString("\(Errno(9999).text)") == "unknown error")
    }
}
