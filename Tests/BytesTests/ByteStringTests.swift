import Bytes
import Testing

@Suite("Byte strings")
struct ByteStringTests {
    @Test("Bytes that are not UTF-8 pass through untouched")
    func invalidUTF8() {
        let bytes: [UInt8] = [0xff, 0x2f, 0xc3, 0x28]
        let string = ByteString(bytes)
        #expect(Array(string.bytes) == bytes)
        #expect(string.withCString { ByteString(cString: $0) } == string)
    }

    @Test("A NUL ends a byte string, as it ends an argument")
    func stopsAtNul() { #expect(ByteString([97, 0, 98]) == "a") }

    @Test(
        "The last component is what follows the last slash",
        arguments: [("a", "a"), ("/a/b", "b"), ("a/", ""), ("", ""), ("./x", "x")])
    func lastComponent(path: String, expected: String) {
        #expect(ByteString(path).lastComponent == ByteString(expected))
    }

    @Test("Interpolation joins text, bytes and numbers")
    func interpolation() {
        let name = ByteString([0xfe])
        let message: ByteString = "a \(name) \(-7) \(UInt64.max)"
        #expect(
            Array(message.bytes)
                == Array("a ".utf8) + [0xfe] + Array(" -7 18446744073709551615".utf8))
    }

    @Test("Decimal numbers of every shape", arguments: [Int.min, -1, 0, 9, 10, 12345, Int.max])
    func decimal(value: Int) {
        var bytes: [UInt8] = []
        appendDecimal(value, to: &bytes)
        #expect(String(decoding: bytes, as: UTF8.self) == String(value))
    }

    @Test("Scanning takes leading digits only, and wraps")
    func scan() {
        #expect(scanDecimal("12a3".utf8) == (12, 2))
        #expect(scanDecimal("-1".utf8) == (0, 0))
        #expect(scanDecimal("".utf8) == (0, 0))
        #expect(scanDecimal("18446744073709551617".utf8) == (1, 20))
    }

    @Test("Order is byte order")
    func order() {
        #expect(ByteString("a") < ByteString("b"))
        #expect(ByteString("a") < ByteString("aa"))
        #expect(ByteString("z") < ByteString([0xff]))
        #expect(!(ByteString("b") < ByteString("a")))
    }

    @Test("Appending keeps the closing NUL in its place")
    func append() {
        var string: ByteString = "a"
        string.append("b" as ByteString)
        string.append([99, 100])
        #expect(string == "abcd")
        #expect(string.count == 4)
    }
}

@Suite("Words in order")
struct WordOrderTests {
    @Test("Sorting is by bytes, whatever the order was")
    func sorting() {
        var state: UInt64 = 1
        for count in 0...40 {
            var words: [ByteString] = (0..<count).map { _ in
                state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
                let byte = UInt8(state >> 60 + 1)
                return ByteString([UInt8](repeating: byte, count: Int(state >> 62)))
            }
            let expected = words.sorted { $0 < $1 }
            words.sortByBytes()
            #expect(words == expected)
        }
    }

    @Test("Words are joined with the separator between each two")
    func joining() {
        #expect(ByteString([], joinedBy: ", ") == "")
        #expect(ByteString(["one"], joinedBy: ", ") == "one")
        #expect(ByteString(["one", "", "three"], joinedBy: ", ") == "one, , three")
    }
}
