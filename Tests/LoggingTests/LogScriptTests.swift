import Bytes
import Commands
import Linux
import Testing

@testable import Logging

@Suite("Scripts")
struct LogScriptTests {
    @Test("each letter stands for one action and no other byte for any")
    func letters() {
        let letters = LogAction.allCases.map { String(UnicodeScalar($0.rawValue)) }
        #expect(letters.sorted().joined() == "!+-./1=enst")
        let others = Set(UInt8.min...UInt8.max).subtracting(LogAction.allCases.map(\.rawValue))
        for byte in others where byte != 0 {
            let script = LogScript([ByteString([byte, UInt8(ascii: "x")])])
            #expect(script.steps.isEmpty && !script.stampsLines)
            #expect(script.directories.isEmpty && script.statusFiles.isEmpty)
        }
    }

    @Test("1 alone is standard output")
    func output() {
        let script = LogScript("1", "10", "./d", "-a", "1")
        #expect(
            script.steps == [.write(0), .write(1), .deselect(0..<1), .write(2)])
        #expect(script.directories.map(\.isOutput) == [true, false, true])
    }

    @Test("only the first word stamps")
    func stamp() {
        #expect(LogScript("t").stampsLines)
        #expect(LogScript("tail", "./x").stampsLines)
        #expect(!LogScript("e", "t").stampsLines)
        #expect(!LogScript().stampsLines)
        #expect(LogScript("t", "t", "e").steps == [.show])
    }

    @Test("patterns, files and directories become steps in order")
    func steps() {
        let script = LogScript("-*", "+a*", "e", "=f", "./d", "-", "=", "/r")
        #expect(
            script.steps == [
                .deselect(0..<1), .select(1..<3), .show, .keep(0), .write(0), .deselect(3..<3),
                .keep(1), .write(1),
            ])
        #expect(script.patterns == Array("*a*".utf8))
        #expect(script.statusFiles == ["f", ""])
        #expect(script.directories.map(\.path) == ["./d", "/r"])
    }

    @Test("sizes, counts and processors hold for the directories that follow")
    func settings() {
        let script = LogScript("./a", "s5000", "n3", "!cat", "./b", "s6000", "./c", "!", "./d")
        #expect(
            script.directories == [
                LogDirectorySettings(path: "./a", size: 99999, count: 10, processor: nil),
                LogDirectorySettings(path: "./b", size: 5000, count: 3, processor: "cat"),
                LogDirectorySettings(path: "./c", size: 6000, count: 3, processor: "cat"),
                LogDirectorySettings(path: "./d", size: 6000, count: 3, processor: ""),
            ])
    }

    @Test(
        "sizes are brought within their bounds",
        arguments: [
            ("s4095", 4096), ("s4096", 4096), ("s16777215", 16_777_215), ("s16777216", 16_777_215),
            ("s", 4096), ("s-1", 4096), ("s9999x", 9999), ("s 5000", 4096), ("s0x9999", 4096),
            // Wraps to 0 and to 2^64 - 1, as unsigned long does.
            ("s18446744073709551616", 4096), ("s18446744073709551615", 16_777_215),
        ])
    func sizes(word: String, size: Int) {
        #expect(LogScript(word, "./d").directories[0].size == size)
    }

    @Test(
        "two files are the least",
        arguments: [("n0", 2), ("n1", 2), ("n2", 2), ("n", 2), ("n7q", 7)])
    func counts(word: String, count: UInt) {
        #expect(LogScript(word, "./d").directories[0].count == count)
    }
}
