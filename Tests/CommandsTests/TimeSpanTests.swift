import Bytes
import Commands
import Testing

@Suite("Times on command lines")
struct TimeSpanTests {
    @Test(
        "A number of seconds, or of another unit",
        arguments: [
            ("0", 0), ("5", 5000), ("5s", 5000), ("500ms", 500), ("2m", 120_000), ("1h", 3_600_000),
            ("8760h", 31_536_000_000), ("8761h", nil), ("31536000", 31_536_000_000),
            ("31536001", nil), ("", nil), ("s", nil), ("-1", nil), ("+1", nil), (" 1", nil),
            ("1 s", nil), ("1.5", nil), ("1d", nil), ("1S", nil), ("99999999999999999999", nil),
            ("000000000001", 1000), ("0000000000001", nil),
        ] as [(ByteString, UInt64?)])
    func spans(text: ByteString, expected: UInt64?) {
        #expect(parseTimeSpan(text) == expected)
    }
}
