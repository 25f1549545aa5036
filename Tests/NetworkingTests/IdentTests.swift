import Bytes
import Linux
import Testing

@testable import Networking

@Suite struct IdentTests {
    private func answer(_ text: String) -> ByteString? {
        var answer = IdentAnswer()
        for byte in text.utf8 where answer.take(byte) { break }
        return answer.text
    }

    @Test(
        "What follows the third colon counts, without blanks",
        arguments: [
            ("113,25 : USERID : UNIX : joe\r\n", "joe"),
            ("113,25:USERID:UNIX:j o\te:x\r\nmore", "joe:x"),
            ("113,25:ERROR:NO-USER\r\n", ""),
            ("\n", ""),
        ] as [(String, ByteString)])
    func complete(line: String, info: ByteString) { #expect(answer(line) == info) }

    @Test("A line that does not end is no answer, unless it is too long")
    func incomplete() {
        #expect(answer("113,25:USERID:UNIX:joe") == nil)
        #expect(answer("") == nil)
        let long = String(repeating: "x", count: 300)
        #expect(answer("1:2:3:" + long)?.count == 257)
    }
}
