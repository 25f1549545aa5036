import Bytes
import Commands
import Testing

@testable import Logging

@Suite("Where files end")
struct SizeRuleTests {
    private let rule = SizeRule(size: 4096)

    private func accepted(_ chunk: String, after bytes: Int) -> Int {
        Array(chunk.utf8).withUnsafeBytes { rule.accepted(of: $0, after: bytes) }
    }

    @Test("far from its size a file takes all")
    func far() {
        #expect(accepted("a\nb", after: 0) == 3)
        #expect(accepted("a\nb", after: 2092) == 3)
        #expect(!rule.isComplete(2095, endingWith: UInt8(ascii: "\n")))
    }

    @Test("within 2000 bytes of its size it takes whole lines")
    func near() {
        #expect(accepted("a\nb", after: 2093) == 2)
        #expect(accepted("a\nb", after: 4000) == 2)
        #expect(accepted("a\nb\nc", after: 4000) == 4)
        #expect(rule.isComplete(2096, endingWith: UInt8(ascii: "\n")))
        #expect(!rule.isComplete(2096, endingWith: UInt8(ascii: "x")))
    }

    @Test("without a newline it takes what fits")
    func cut() {
        #expect(accepted("abc", after: 2093) == 3)
        #expect(accepted("abc", after: 4094) == 2)
        #expect(accepted("ab\n", after: 4094) == 2)
        #expect(accepted("a\nb", after: 4094) == 2)
        #expect(!rule.isFull(4095))
        #expect(rule.isFull(4096))
        #expect(rule.isFull(5000))
    }
}
