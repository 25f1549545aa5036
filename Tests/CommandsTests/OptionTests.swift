import Bytes
import Commands
import Linux
import Testing

@Suite("Options", .serialized)
struct OptionTests {
    /// Letters and values read, and the operands left.
    private func read(
        _ words: [ByteString], _ short: ByteString, _ long: [LongOption] = []
    ) -> (options: [String], operands: [ByteString]) {
        var reader = OptionReader(
            ["prog"] + words, short: short, long: long, messages: Messages(program: "prog"))
        var seen: [String] = []
        while let option = reader.next() {
            switch option {
            case .option(let letter, let value):
                let name = letter.isASCII ? String(letter) : String(letter.value)
                seen.append(name + String(decoding: value.bytes, as: UTF8.self))
            case .wrong: return (seen + ["wrong"], [])
            }
        }
        return (seen, Array((["prog"] + words)[reader.operands...]))
    }

    @Test("Clusters, attached and separate values, the first operand ends the options")
    func classic() {
        #expect(
            read(["-vR", "-c10", "-x", "f", "0", "-l"], "vRc:x:l").options == [
                "v", "R", "c10", "xf",
            ])
        #expect(read(["-vR", "0", "-l"], "vRl").operands == ["0", "-l"])
        #expect(read(["-", "x"], "v").operands == ["-", "x"])
        #expect(read(["--", "-v"], "v").operands == ["-v"])
        #expect(read(["-1"], "1").options == ["1"])
        #expect(read(["-RHl0", "h"], "RHl:").options == ["R", "H", "l0"])
    }

    @Test("A wrong option and a missing value stop the reading")
    func wrong() {
        #expect(read(["-q"], "v").options == ["wrong"])
        #expect(read(["-c"], "c:").options == ["wrong"])
        #expect(read(["--nonesuch"], "v").options == ["wrong"])
    }

    @Test("Long options with values")
    func long() {
        let table = [
            LongOption("bounding", takesArgument: true, letter: "\u{100}"),
            LongOption("no-new-privs", letter: "\u{101}"),
        ]
        #expect(
            read(["--bounding=a,b", "--no-new-privs", "--bounding", "c", "p"], "v", table).options
                == ["256a,b", "257", "256c"])
    }

    @Test("A second reader starts afresh, also after a half-read cluster")
    func restart() {
        var first = OptionReader(
            ["p", "-ab"], short: "ab", messages: Messages(program: "p"))
        _ = first.next()
        #expect(read(["-b"], "ab").options == ["b"])
    }
}
