import Bytes
import Commands
import Formats
import Linux
import Testing

@testable import Logging

@Suite("What is in a log directory")
struct ArchiveSurveyTests {
    private func name(_ label: TAI64N, _ end: String = ".s") -> ByteString {
        ByteString(label.text + Array(end.utf8))
    }

    @Test("the oldest are named in order, the newest by its label, in bounded memory")
    func many() {
        var generator = SeededGenerator(seed: 5)
        let labels = (0..<5000).map { _ in
            TAI64N(label: UInt64.random(in: 0..<1 << 62, using: &generator), nanoseconds: 7)
        }
        var survey = ArchiveSurvey()
        for label in labels { survey.add(name(label)) }
        #expect(survey.count == 5000)
        #expect(survey.oldest == labels.sorted().prefix(ArchiveSurvey.nameLimit).map { name($0) })
        #expect(survey.newest?.label == labels.max())
    }

    @Test("a new file is named after the newest there is, or for its time if that is later")
    func label() {
        let now = TAI64N(unixSeconds: 1000, nanoseconds: 5)
        var survey = ArchiveSurvey()
        #expect(survey.label(at: now) == now)
        survey.add(name(TAI64N(unixSeconds: 999, nanoseconds: 5)))
        #expect(survey.label(at: now) == now)
        survey.add(name(now))
        #expect(survey.label(at: now) == TAI64N(unixSeconds: 1000, nanoseconds: 6))
        survey.add(name(TAI64N(unixSeconds: 5000, nanoseconds: 999_999_999), ".u"))
        #expect(survey.label(at: now) == TAI64N(unixSeconds: 5001, nanoseconds: 0))
        // What is no label does not count, nor does one after which none can be.
        survey.add("@zzzzzzzzzzzzzzzzzzzzzzzzzzzz")
        #expect(survey.label(at: now) == TAI64N(unixSeconds: 5001, nanoseconds: 0))
        survey.add("@ffffffffffffffffffffffff.s")
        #expect(survey.label(at: now) == TAI64N(unixSeconds: 5001, nanoseconds: 0))
    }
}
