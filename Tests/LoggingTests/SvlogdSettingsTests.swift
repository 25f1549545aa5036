import Bytes
import Formats
import Testing

@testable import Logging

@Suite("What svlogd is told") struct SvlogdSettingsTests {
    private func settings(_ text: String) -> SvlogdSettings { SvlogdSettings(Array(text.utf8)) }

    private func judge(_ text: String, _ line: String) -> (isSelected: Bool, isShown: Bool) {
        Array(line.utf8).withUnsafeBytes { settings(text).judge($0) }
    }

    @Test("Nothing said is the usual")
    func usual() {
        #expect(settings("") == SvlogdSettings())
        #expect(settings("# comment\n\nzap\n") == SvlogdSettings())
        #expect(SvlogdSettings().size == 1_000_000)
        #expect(SvlogdSettings().count == 10)
    }

    @Test(
        "Sizes and their units",
        arguments: [
            ("s1", 1), ("s", 0), ("sx", 0), ("s10k", 10240), ("s2m", 2 << 20), ("s3h", 3),
            ("s99999999999999999999m", Int.max), ("s1\ns2", 2),
        ])
    func sizes(line: String, size: Int) { #expect(settings(line).size == size) }

    @Test("Ages and their units", arguments: [("t5", 5), ("t2m", 120), ("t1h", 3600), ("t", 0)])
    func ages(line: String, age: UInt64) { #expect(settings(line).age == age) }

    @Test("Counts, prefix and processor")
    func others() {
        let found = settings("n3\nN2\npweb: \n!gzip -9\n")
        #expect(found.count == 3)
        #expect(found.leastCount == 2)
        #expect(found.prefix == Array("web: ".utf8))
        #expect(found.processor == "gzip -9")
    }

    @Test("Nothing after the letter changes no prefix and no processor")
    func empty() {
        #expect(settings("pa\np\n").prefix == Array("a".utf8))
        #expect(settings("!a\n!\n").processor == "a")
    }

    @Test("What is behind a NUL is not seen")
    func nul() { #expect(settings("pa\0b\n").prefix == Array("a".utf8)) }

    @Test("The last line needs no newline")
    func lastLine() { #expect(settings("n3").count == 3) }

    @Test(
        "Addresses",
        arguments: [
            ("127.0.0.1", 0x7f00_0001, 514), ("1.2.3.4:99", 0x0102_0304, 99),
            ("255.255.255.255:65535", 0xffff_ffff, 65535),
        ])
    func addresses(text: String, address: UInt32, port: UInt16) {
        let target = SvlogdSettings.Target(address: address, port: port)
        #expect(settings("u\(text)\n").target == target)
        #expect(settings("u\(text)\n").onlySends == false)
        #expect(settings("U\(text)\n").target == target)
        #expect(settings("U\(text)\n").onlySends)
    }

    @Test(
        "What is no address is said",
        arguments: ["", "x", "1.2.3", "1.2.3.256", "1.2.3.4:0", "1.2.3.4:x", "1.2.3.4:65536"])
    func wrongAddresses(text: String) {
        #expect(settings("u\(text)\n").target == nil)
        #expect(settings("u\(text)\n").complaints.count == 1)
    }

    @Test("The last rule that matches counts, for writing and showing each")
    func rules() {
        #expect(judge("", "a") == (true, false))
        #expect(judge("-*\n", "a") == (false, false))
        #expect(judge("-*\n+a\n", "a") == (true, false))
        #expect(judge("+a\n-*\n", "a") == (false, false))
        #expect(judge("ea\n", "a") == (true, true))
        #expect(judge("e*\nEa\n", "a") == (true, false))
        #expect(judge("-a\nea\n", "a") == (false, true))
    }

    @Test(
        "Patterns",
        arguments: [
            ("", "", true), ("", "a", false), ("a", "a", true), ("a", "ab", false), ("*", "", true),
            ("*", "abc", true), ("*c", "abc", true), ("*c", "abcc", false), ("a*", "a", true),
            ("*b*", "abc", true), ("**", "a", false), ("**", "a*", true), ("+a", "aaa", true),
            ("+a", "", false), ("+ab", "aab", true), ("+ab", "aa", false), ("+a*", "aab", true),
            ("+", "a", false), ("+", "", false), ("*: *: pid *", "x: info: pid 1", true),
            ("*pid*", "tcpsvd: info: pid 1", false),
        ])
    func patterns(pattern: String, line: String, doesMatch: Bool) {
        let found = Array(pattern.utf8).withUnsafeBytes { pattern in
            Array(line.utf8).withUnsafeBytes { matchesOfSvlogd(pattern, $0) }
        }
        #expect(found == doesMatch)
    }

    @Test("Any bytes are settings")
    func anything() {
        var random = SeededGenerator(seed: 7)
        for _ in 0..<2000 {
            let count = Int.random(in: 0..<60, using: &random)
            let alphabet = Array("snNt!pueEU+-*.:0129mk\n\0x".utf8)
            let bytes = (0..<count).map { _ in alphabet.randomElement(using: &random) ?? 0 }
            let found = SvlogdSettings(bytes)
            _ = bytes.withUnsafeBytes { found.judge($0) }
            #expect(found.size >= 0)
        }
    }
}

@Suite("svlogd's stamps") struct SvlogdStampTests {
    private func text(_ stamp: SvlogdStamp, _ seconds: Int64, _ nanoseconds: UInt32) -> String {
        String(
            decoding: stamp.text(TAI64N(unixSeconds: seconds, nanoseconds: nanoseconds)),
            as: UTF8.self)
    }

    @Test(
        "Dates",
        arguments: [
            (0, 0, "1970-01-01_00:00:00.00000 "), (-1, 999_999_999, "1969-12-31_23:59:59.99999 "),
            (951_782_400, 5, "2000-02-29_00:00:00.00000 "),
            (951_868_799, 0, "2000-02-29_23:59:59.00000 "),
            (1_134_897_230, 976_180_000, "2005-12-18_09:13:50.97618 "),
            (4_107_542_400, 0, "2100-03-01_00:00:00.00000 "),
            (4_107_542_399, 0, "2100-02-28_23:59:59.00000 "),
        ] as [(Int64, UInt32, String)])
    func dates(seconds: Int64, nanoseconds: UInt32, expected: String) {
        #expect(text(.date, seconds, nanoseconds) == expected)
        #expect(
            text(.isoDate, seconds, nanoseconds)
                == expected.replacing("_", with: "T"))
    }

    @Test("Every day follows the one before")
    func everyDay() {
        var before = ""
        for day in stride(from: Int64(-200_000), to: 200_000, by: 1) {
            let now = text(.isoDate, day * 86400, 0)
            if day > -200_000, before.count == now.count { #expect(before < now) }
            before = now
        }
    }

    @Test("All have one length", arguments: SvlogdStamp.allCases)
    func length(stamp: SvlogdStamp) { #expect(text(stamp, 1_134_897_230, 1).utf8.count == 26) }
}
