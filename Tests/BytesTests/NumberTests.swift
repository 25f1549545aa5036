import Bytes
import Testing

@Suite("Numbers as text")
struct NumberTests {
    @Test("Hexadecimal digits are written in lower case, with leading zeros to the width")
    func writesHexadecimal() {
        func text(_ value: some FixedWidthInteger, width: Int = 1) -> String {
            var bytes: [UInt8] = []
            appendHexadecimal(value, width: width, to: &bytes)
            return String(decoding: bytes, as: UTF8.self)
        }
        #expect(text(0 as UInt16) == "0")
        #expect(text(0xabcd as UInt16) == "abcd")
        #expect(text(UInt64.max) == "ffffffffffffffff")
        #expect(text(0x1f as UInt8, width: 4) == "001f")
        for shift in 0..<64 {
            let value = UInt64(1) << UInt64(shift)
            #expect(text(value) == String(value, radix: 16))
        }
    }

    @Test("Hexadecimal is read in either case, all of it or not at all")
    func readsHexadecimal() {
        #expect(parseHexadecimal("0".utf8) == 0)
        #expect(parseHexadecimal("DeadBeef".utf8) == 0xdead_beef)
        #expect(parseHexadecimal("ffffffffffffffff".utf8) == .max)
        #expect(parseHexadecimal("10000000000000000".utf8) == nil)
        for wrong in ["", "g", "0x1", " 1", "1 ", "-1"] {
            #expect(parseHexadecimal(wrong.utf8) == nil)
        }
    }
}
