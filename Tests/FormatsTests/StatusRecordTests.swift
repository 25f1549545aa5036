import Formats
import Testing

@Suite("The status record") struct StatusRecordTests {
    /// What daemontools' supervise wrote for a service that was up.
    private let sample: [UInt8] = [
        0x40, 0x00, 0x00, 0x00, 0x6b, 0x01, 0x5b, 0x36, 0x03, 0x01, 0xe7, 0xb4, 0xef, 0x68, 0x00,
        0x00, 0x00, 0x75,
    ]

    @Test("A record of daemontools is read")
    func reading() {
        let record = StatusRecord(sample)
        #expect(record?.since.seconds == 0x4000_0000_6b01_5b36)
        #expect(record?.since.nanoseconds == 0x0301_e7b4)
        #expect(record?.pid == 26863)
        #expect(record?.isPaused == false)
        #expect(record?.want == StatusRecord.wantsUp)
    }

    @Test(
        "A record is written as it was read", arguments: [0, 1] as [UInt8],
        [0, 0x64, 0x75] as [UInt8])
    func roundTrip(paused: UInt8, want: UInt8) {
        var bytes = sample
        bytes[12...15] = [0x12, 0x34, 0x56, 0x78]
        bytes[16] = paused
        bytes[17] = want
        #expect(StatusRecord(bytes)?.bytes == bytes)
        #expect(StatusRecord(bytes)?.pid == 0x7856_3412)
    }

    @Test("A shorter file is no record", arguments: 0..<18)
    func short(count: Int) {
        #expect(StatusRecord(sample.prefix(count)) == nil)
    }

    @Test("What others append is not read", arguments: [1, 2, 22])
    func longer(more: Int) {
        #expect(StatusRecord(sample + Array(repeating: 0xff, count: more))?.bytes == sample)
    }
}
