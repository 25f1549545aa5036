import Formats
import Testing

@Suite("TAI64N labels")
struct TAI64NTests {
    static let known: [(unix: Int64, nanoseconds: UInt32, text: String)] = [
        (0, 0, "@400000000000000a00000000"),
        (0, 500, "@400000000000000a000001f4"),
        (1_000_000_000, 999_999_999, "@400000003b9aca0a3b9ac9ff"),
        (-10, 0, "@400000000000000000000000"),
        (-11, 1, "@3fffffffffffffff00000001"),
        (4_294_967_296, 0xabc_def01, "@400000010000000aabcdef01"),
        (Int64.min, 0, "@c00000000000000a00000000"),
    ]

    @Test("text and label agree with known values", arguments: known)
    func knownValues(unix: Int64, nanoseconds: UInt32, text: String) {
        let label = TAI64N(unixSeconds: unix, nanoseconds: nanoseconds)
        #expect(String(decoding: label.text, as: UTF8.self) == text)
        #expect(label.unixSeconds == unix)
        #expect(TAI64N(text: Array(text.utf8)) == label)
        #expect(TAI64N(binary: label.binary) == label)
    }

    @Test("the binary form is seconds then nanoseconds, big-endian")
    func binary() {
        let label = TAI64N(label: 0x0102_0304_0506_0708, nanoseconds: 0x090a_0b0c)
        #expect(label.binary == Array(1...12))
        #expect(TAI64N(binary: label.binary.dropLast()) == nil)
        #expect(TAI64N(binary: label.binary + [0]) == nil)
    }

    @Test(
        "what is not a label is refused",
        arguments: [
            "", "@", "@400000003b9aca0a3b9ac9f", "@400000003b9aca0a3b9ac9ff0",
            "@400000003B9aca0a3b9ac9ff", "400000003b9aca0a3b9ac9fff", "@400000003b9aca0a 3b9ac9f",
            "@400000003b9aca0a3b9ac9fg", "@400000003b9aca0a/b9ac9ff", "@400000003b9aca0a3b9ac9:f",
            "@400000003b9aca0a3b9ac9`f",
        ])
    func refused(text: String) {
        #expect(TAI64N(text: Array(text.utf8)) == nil)
    }

    @Test("text sorts as time does")
    func order() {
        let times: [(Int64, UInt32)] = [
            (-1, 999_999_999), (0, 0), (0, 1), (9, 999_999_999), (10, 0), (1 << 33, 5),
        ]
        let labels = times.map { TAI64N(unixSeconds: $0.0, nanoseconds: $0.1) }
        for (earlier, later) in zip(labels, labels.dropFirst()) {
            #expect(earlier < later)
            #expect(!(later < earlier))
            #expect(earlier.text.lexicographicallyPrecedes(later.text))
        }
    }
}
