import Bytes
import Commands
import Linux
import Testing

@Suite("Options", .serialized)
struct OptionTests {
    /// An option for each letter of a string in getopt(3)'s form.
    private func names(_ short: String) -> [OptionName<String>] {
        let letters = Array(short.unicodeScalars)
        return letters.indices.filter { letters[$0] != ":" }.map { index in
            let takesValue = letters.dropFirst(index + 1).first == ":"
            return OptionName(letters[index], String(letters[index]), takesValue: takesValue)
        }
    }

    /// Letters and values read, and the operands left.
    private func read(
        _ words: [ByteString], _ short: String, _ long: [OptionName<String>] = []
    ) -> (options: [String], operands: [ByteString]) {
        var reader = OptionReader(
            ["prog"] + words, names(short) + long, Messages(program: "prog"))
        var seen: [String] = []
        while let option = reader.next() {
            switch option {
            case .option(let name, let value):
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
            OptionName(word: "bounding", "bounding ", takesValue: true),
            OptionName(word: "no-new-privs", "no-new-privs"), OptionName("v", "v"),
        ]
        #expect(
            read(["--bounding=a,b", "--no-new-privs", "--bounding", "c", "p"], "v", table).options
                == ["bounding a,b", "no-new-privs", "bounding c"])
    }

    @Test("A second reader starts afresh, also after a half-read cluster")
    func restart() {
        var first = OptionReader(["p", "-ab"], names("ab"), Messages(program: "p"))
        _ = first.next()
        #expect(read(["-b"], "ab").options == ["b"])
    }
}
