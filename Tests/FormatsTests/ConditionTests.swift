import Bytes
import Formats
import Testing

@Suite("What a service is, for those that wait or ask") struct ConditionTests {
    private let since = TAI64N(unixSeconds: 1000, nanoseconds: 7)

    private func record(_ state: StatusDetails.State?, pid: UInt32 = 0, isPaused: Bool = false)
        -> StatusRecord
    {
        StatusRecord(
            since: since, pid: pid, isPaused: isPaused, want: StatusRecord.wantsUp,
            details: state.map { StatusDetails($0) })
    }

    @Test(
        "Each state meets its conditions",
        arguments: [
            (.down, [.down, .finished]), (.blocked, [.down, .finished]),
            (.waiting, [.down, .finished]), (.starting, [.up]), (.up, [.up, .ready]),
            (.stopping, [.up]), (.finishing, [.down]), (.done, [.up, .ready]),
            (.failed, [.down, .finished]),
        ] as [(StatusDetails.State, [ServiceCondition])])
    func states(state: StatusDetails.State, conditions: [ServiceCondition]) {
        #expect(ServiceCondition.allCases.filter { record(state).meets($0) } == conditions)
        #expect(record(state).state == state)
    }

    @Test("Without details the process tells")
    func plain() {
        #expect(ServiceCondition.allCases.filter { record(nil).meets($0) } == [.down, .finished])
        #expect(
            ServiceCondition.allCases.filter { record(nil, pid: 7).meets($0) } == [.up, .ready])
        let paused = record(nil, pid: 7, isPaused: true)
        #expect(ServiceCondition.allCases.filter { paused.meets($0) } == [.up])
        #expect(record(nil, pid: 7).readyTime == since)
        #expect(paused.readyTime == nil)
        #expect(record(nil).readyTime == nil)
    }

    @Test("Only what has failed will not be up")
    func hope() {
        for state in StatusDetails.State.allCases {
            for condition in ServiceCondition.allCases {
                let isHopeless = state == .failed && (condition == .up || condition == .ready)
                #expect(record(state).mayMeet(condition) == !isHopeless)
            }
        }
    }

    @Test("It has been ready since it said so")
    func readiness() {
        var details = StatusDetails(.up)
        details.isReady = true
        details.readySince = TAI64N(unixSeconds: 2000, nanoseconds: 0)
        let record = StatusRecord(since: since, pid: 7, isPaused: false, want: 0, details: details)
        #expect(record.readyTime == details.readySince)
    }

    @Test("No more of a text is read than is ever written")
    func longText() throws {
        var details = StatusDetails(.up)
        details.text = ByteString([UInt8](repeating: UInt8(ascii: "x"), count: 200))
        var bytes =
            record(.up).bytes.prefix(StatusRecord.byteCount) + details.bytes(hasProcess: true)
        bytes[44] = 255
        bytes += [UInt8](repeating: UInt8(ascii: "y"), count: 55)
        #expect(try #require(StatusRecord(bytes)?.details) == details)
    }

    @Test("Every state and reason has words of its own")
    func words() {
        let states = StatusDetails.State.allCases.map { ByteString($0.word) }
        #expect(Set(states).count == states.count)
        let reasons = StatusDetails.Reason.allCases.compactMap { $0.words.map { ByteString($0) } }
        #expect(Set(reasons).count == StatusDetails.Reason.allCases.count - 1)
        #expect(StatusDetails.Reason.none.words == nil)
    }
}

@Suite("JSON, and times in it") struct JSONTests {
    private func text(_ build: (inout JSONObject) -> Void) -> String {
        var object = JSONObject()
        build(&object)
        return String(decoding: object.bytes, as: UTF8.self)
    }

    @Test("Members of every kind, in their order")
    func members() {
        let found = text { object in
            object.add("a", "x")
            object.add("b", number: -7)
            object.add("c", isTrue: true)
            object.add("d", nil)
            object.add("e", number: nil)
            object.add("f", object: JSONObject())
            object.add("g", object: nil)
            object.add("h", isTrue: false)
        }
        #expect(
            found
                == #"{"a":"x","b":-7,"c":true,"d":null,"e":null,"f":{},"g":null,"h":false}"#)
        #expect(text { _ in } == "{}")
    }

    @Test("Text of any bytes is valid, and tells of them")
    func strings() {
        #expect(text { $0.add("a", #"q"b\s/é€𝄞"#) } == #"{"a":"q\"b\\s/é€𝄞"}"#)
        let bytes = ByteString([0x1b, 0x0a, 0xff, 0xc3, 0x7f, 0x22])
        #expect(text { $0.add("a", bytes) } == #"{"a":"\\x1b\\n\\xff\\xc3\\x7f\""}"#)
    }

    @Test(
        "Times are those of date(1)",
        arguments: [
            (0, 0, "1970-01-01T00:00:00.000000000Z"),
            (951_782_399, 5, "2000-02-28T23:59:59.000000005Z"),
            (951_782_400, 0, "2000-02-29T00:00:00.000000000Z"),
            (951_868_800, 0, "2000-03-01T00:00:00.000000000Z"),
            (1_798_761_599, 999_999_999, "2026-12-31T23:59:59.999999999Z"),
            (4_107_542_400, 0, "2100-03-01T00:00:00.000000000Z"),
            (253_402_300_799, 0, "9999-12-31T23:59:59.000000000Z"), (253_402_300_800, 0, nil),
            (-1, 0, nil), (.max, 0, nil), (.min, 0, nil), (0, 1_000_000_000, nil),
        ] as [(Int64, UInt32, String?)])
    func times(seconds: Int64, nanoseconds: UInt32, expected: String?) {
        let label = TAI64N(unixSeconds: seconds, nanoseconds: nanoseconds)
        #expect(label.utc.map { String(decoding: $0.bytes, as: UTF8.self) } == expected)
    }
}
