import Bytes
import Testing

@testable import Init

@Suite("Command lines as glibc reads them")
struct GNUOptionsTests {
    private let long: [GNUOptions.Long] = [
        .init(name: "verbose", letter: UInt8(ascii: "v")),
        .init(name: "version", letter: UInt8(ascii: "V")),
        .init(name: "rewrite", letter: UInt8(ascii: "r"), takesValue: true),
        .init(name: "ver", letter: UInt8(ascii: "x")),
    ]

    /// Each option as its letter and value, each wrong one as its line, and the operands after a bar.
    private func read(
        _ words: [ByteString], letters: ByteString = "ab:", long: [GNUOptions.Long] = [],
        permutes: Bool = true
    ) -> [ByteString] {
        var options = GNUOptions(["p"] + words, letters: letters, long, permutes: permutes)
        var found: [ByteString] = []
        while let one = options.next() {
            switch one {
            case .option(let letter, let value): found.append("\(ByteString([letter]))=\(value)")
            case .wrong(let line): found.append(line)
            }
        }
        return found + ["|"] + options.operands
    }

    @Test("Letters, alone, together, with values")
    func letters() {
        #expect(read(["-a", "x"]) == ["a=", "|", "x"])
        #expect(read(["-aab1", "x"]) == ["a=", "a=", "b=1", "|", "x"])
        #expect(read(["-b", "-a", "x"]) == ["b=-a", "|", "x"])
        #expect(read(["-b", "--", "x"]) == ["b=--", "|", "x"])
        #expect(read(["-b", "", "x"]) == ["b=", "|", "x"])
    }

    @Test("What is wrong is said in glibc's words")
    func wrong() {
        #expect(read(["-z"]) == ["p: invalid option -- 'z'", "|"])
        #expect(read(["-:"]) == ["p: invalid option -- ':'", "|"])
        #expect(read(["-az", "x"]) == ["a=", "p: invalid option -- 'z'", "|", "x"])
        #expect(read(["-b"]) == ["p: option requires an argument -- 'b'", "|"])
        #expect(read(["--x"]).first == "p: invalid option -- '-'")
        #expect(read(["--x"], long: long) == ["p: unrecognized option '--x'", "|"])
        #expect(read(["--x=1"], long: long) == ["p: unrecognized option '--x=1'", "|"])
        #expect(
            read(["--rewrite"], long: long) == ["p: option '--rewrite' requires an argument", "|"])
        #expect(
            read(["--verb=1"], long: long) == [
                "p: option '--verbose' doesn't allow an argument", "|",
            ])
        #expect(
            read(["--ve"], long: long)
                == [
                    "p: option '--ve' is ambiguous; possibilities: '--verbose' '--version' '--ver'",
                    "|",
                ])
    }

    @Test("Long options, whole and short")
    func words() {
        #expect(read(["--verbose", "--ver", "--versi"], long: long) == ["v=", "x=", "V=", "|"])
        #expect(
            read(["--rewrite=1:2", "--rew", "3", "--r="], long: long) == [
                "r=1:2", "r=3", "r=", "|",
            ])
    }

    @Test("Operands end the options or do not, and -- always does")
    func operands() {
        #expect(read(["x", "-a", "y", "--", "-b"]) == ["a=", "|", "x", "y", "-b"])
        #expect(
            read(["x", "-a", "y", "--", "-b"], permutes: false) == [
                "|", "x", "-a", "y", "--", "-b",
            ])
        #expect(read(["-a", "--", "x", "--"], permutes: false) == ["a=", "|", "x", "--"])
        #expect(read(["-", "-a"]) == ["a=", "|", "-"])
        #expect(read([]) == ["|"])
        #expect(read(["--"]) == ["|"])
    }

    @Test("Numbers as strtol and scanf read them")
    func numbers() {
        for (text, value, rest) in [
            ("12", 12, ""), (" \t+7x", 7, "x"), ("-3:", -3, ":"), ("007", 7, ""),
            ("99999999999", Int(Int32.max), ""), ("-99999999999", -Int(Int32.max), ""),
        ] as [(String, Int, String)] {
            let found = scanNumber(ByteString(text).bytes)
            #expect(found.value == value && Array(found.rest) == Array(rest.utf8), "\(text)")
        }
        for text in ["", " ", "x", "-", "+x", "- 1"] {
            let found = scanNumber(ByteString(text).bytes)
            #expect(found.value == nil && Array(found.rest) == Array(text.utf8), "\(text)")
        }
    }
}
