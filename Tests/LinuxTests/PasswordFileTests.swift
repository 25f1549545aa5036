import Testing

@testable import Linux

@Suite("The head of the password file")
struct PasswordFileTests {
    func found(_ name: ByteString, _ text: String) -> Account? {
        Array(text.utf8).withUnsafeBytes { account(name, in: $0) }
    }

    @Test("A plain line is an account")
    func plain() {
        let text = "root:x:0:0:root:/root:/bin/sh\nwww-data:x:33:34::/:\n"
        #expect(found("root", text) == Account(user: 0, group: 0))
        #expect(found("www-data", text) == Account(user: 33, group: 34))
        #expect(found("a", "a:x:4294967295:1:::\n") == Account(user: 4_294_967_295, group: 1))
    }

    @Test(
        "What is not there or not plain is left to libc",
        arguments: [
            "", "a", "a:x:1:1:::", "ab:x:1:1:::\n", ":x:1:1:::\n", "a:x:1:1::\n", "a:x:1:1::::\n",
            "a:x::1:::\n", "a:x:1:-1:::\n", "a:x:4294967296:1:::\n", "a:x:1:00000000001:::\n",
            "a:x:18446744073709551617:1:::\n", "a:\0:1:1:::\n", "b:x:1:1:::\n\n",
        ])
    func notPlain(_ text: String) {
        #expect(found("a", text) == nil)
        #expect(found("", text) == nil)
        #expect(found("a:x", text) == nil)
    }
}
