import Bytes
import Commands
import Linux
import Testing

@testable import Logging

@Suite("Patterns")
struct PatternTests {
    /// The rule as the man page says it, one byte at a time.
    static func naive(_ pattern: ArraySlice<UInt8>, _ line: ArraySlice<UInt8>) -> Bool {
        guard let first = pattern.first else { return line.isEmpty }
        let rest = pattern.dropFirst()
        if first != UInt8(ascii: "*") {
            return line.first == first && naive(rest, line.dropFirst())
        }
        guard let wanted = rest.first else { return true }
        guard let place = line.firstIndex(of: wanted) else { return false }
        return naive(rest, line[place...])
    }

    static func matches(_ pattern: [UInt8], _ line: [UInt8]) -> Bool {
        pattern.withUnsafeBytes { pattern in
            line.withUnsafeBytes { line in Logging.matches(pattern, line) }
        }
    }

    /// Every string of at most `length` bytes of `alphabet`.
    static func strings(_ alphabet: [UInt8], upTo length: Int) -> [[UInt8]] {
        var all: [[UInt8]] = [[]]
        var last: [[UInt8]] = [[]]
        for _ in 0..<length {
            last = last.flatMap { string in alphabet.map { string + [$0] } }
            all += last
        }
        return all
    }

    @Test("every short pattern agrees with the rule on every short line")
    func exhaustive() {
        let lines = PatternTests.strings(Array("ab*".utf8), upTo: 4)
        for pattern in PatternTests.strings(Array("ab*".utf8), upTo: 5) {
            for line in lines {
                let expected = PatternTests.naive(pattern[...], line[...])
                #expect(
                    PatternTests.matches(pattern, line) == expected, "\(pattern) on \(line)")
            }
        }
    }

    @Test(
        "known cases",
        arguments: [
            ("", "", true), ("", "x", false), ("*", "", true), ("*", "anything", true),
            ("* one", "one two one", false), ("*one", "two one", false), ("t*e", "tee", false),
            ("status *", "status x", true), ("**", "a*b", true), ("**", "ab", false),
            ("x", "X", false),
        ])
    func known(pattern: String, line: String, expected: Bool) {
        #expect(PatternTests.matches(Array(pattern.utf8), Array(line.utf8)) == expected)
    }

    @Test("bytes are bytes: NUL, newline and what is no UTF-8 match themselves")
    func oddBytes() {
        #expect(PatternTests.matches([0xff, UInt8(ascii: "*"), 0x80], [0xff, 0, 10, 0x80]))
        #expect(!PatternTests.matches([0xfe], [0xff]))
    }
}
