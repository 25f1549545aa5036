import Bytes
import Testing

@Suite("Names for people")
struct VisibleTextTests {
    @Test(
        "Nothing forges a line or reaches a terminal",
        arguments: [
            ("plain name", "plain name"),
            ("a\nb: up (pid 1)", "a\\nb: up (pid 1)"),
            ("\u{1b}[2J\r\t\u{7f}", "\\x1b[2J\\r\\t\\x7f"),
            ("caf\u{e9} \u{65e5}\u{672c} \u{1f426}", "caf\u{e9} \u{65e5}\u{672c} \u{1f426}"),
            // C1 controls, separators and changes of direction.
            ("\u{9b}2J\u{85}", "\\xc2\\x9b2J\\xc2\\x85"),
            ("\u{2028}\u{202e}", "\\xe2\\x80\\xa8\\xe2\\x80\\xae"),
        ] as [(String, String)])
    func text(name: String, visible: String) {
        #expect(ByteString(name).visible == ByteString(visible))
    }

    @Test("What is no UTF-8 is shown byte by byte")
    func invalid() {
        let name = ByteString([
            0x61, 0xff, 0xc3, 0x28, 0xe2, 0x82, 0xc0, 0xaf, 0xed, 0xa0, 0x80, 0xf5,
        ])
        #expect(name.visible == "a\\xff\\xc3(\\xe2\\x82\\xc0\\xaf\\xed\\xa0\\x80\\xf5")
    }

    @Test("What is long is cut, and no character of it in two")
    func excerpt() {
        let eighty = String(repeating: "x", count: 80)
        #expect(ByteString(eighty).excerpt == ByteString(eighty))
        #expect(ByteString(eighty + "x").excerpt == ByteString(eighty + "..."))
        #expect(
            ByteString(eighty.dropLast() + "\u{1f426}").excerpt
                == ByteString(eighty.dropLast() + "..."))
        #expect(ByteString("\n" + eighty).excerpt == ByteString("\\n" + eighty.dropLast() + "..."))
        let continuations = ByteString([UInt8](repeating: 0x80, count: 100))
        #expect(continuations.excerpt.bytes.suffix(3).elementsEqual("...".utf8))
        #expect(continuations.excerpt.count <= 323)
    }

    @Test("Every single byte comes out printable, and twice is no more than once")
    func everyByte() {
        for byte in 1...255 as ClosedRange<UInt8> {
            let visible = ByteString([byte]).visible
            #expect(visible.bytes.allSatisfy { (0x20...0x7e).contains($0) })
            #expect(visible.visible == visible)
        }
    }
}
