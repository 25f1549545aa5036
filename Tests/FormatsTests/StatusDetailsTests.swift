import Bytes
import Testing

@testable import Formats

@Suite("The details of a status file")
struct StatusDetailsTests {
    private var details: StatusDetails {
        var details = StatusDetails(.up)
        details.reason = .watchdog
        details.wasTerminated = true
        details.isReady = true
        details.lastEnd = 0x0102_0304
        details.starts = 0x0506_0708
        details.readySince = TAI64N(unixSeconds: 1, nanoseconds: 2)
        details.text = "ab"
        return details
    }

    @Test("Each stands in its place, numbers with the low byte first")
    func layout() {
        let expected: [UInt8] =
            [1, 1, 1, StatusDetails.State.up.rawValue, 3, StatusDetails.Reason.watchdog.rawValue]
            + [4, 3, 2, 1] + [8, 7, 6, 5]
            + TAI64N(unixSeconds: 1, nanoseconds: 2).binary + [2] + Array("ab".utf8)
        #expect(details.bytes(hasProcess: true) == expected)
    }

    @Test("What was written is read", arguments: StatusDetails.State.allCases)
    func roundTrip(state: StatusDetails.State) {
        var details = details
        details.state = state
        #expect(StatusDetails(details.bytes(hasProcess: true)) == details)
    }

    @Test("Another version, an unknown state or reason, and too few bytes are another program's")
    func others() {
        let bytes = details.bytes(hasProcess: true)
        for place in [2, 3, 5] {
            var other = bytes
            other[place] = 99
            #expect(StatusDetails(other) == nil)
        }
        for count in 0..<StatusDetails.fixedCount {
            #expect(StatusDetails(bytes[..<count]) == nil)
        }
    }

    @Test("A text that is too long is cut")
    func longText() {
        var details = details
        details.text = ByteString([UInt8](repeating: 97, count: 300))
        let bytes = details.bytes(hasProcess: true)
        #expect(bytes.count == StatusDetails.fixedCount + StatusDetails.longestText)
        #expect(StatusDetails(bytes)?.text.count == StatusDetails.longestText)
    }
}
