import Bytes
import Formats
import Linux
import Services
import Testing

@testable import Supervision

@Suite("What another image of the process left")
struct AdoptionTests {
    private let facts: [HeldFact] = [
        .service(
            ServiceID(2), name: "web", .entry(name: "web", FileID(device: 1, inode: 2)),
            .init(place: 10, supervise: 11, lock: 12, control: 13, ok: -1), isDownFile: true),
        .service(
            ServiceID(0), name: "log", .logger(name: "web", FileID(device: 1, inode: 3)),
            .init(place: 20), isDownFile: false),
        .service(
            ServiceID(1), name: "one", .path("/service/one"), .init(place: 21), isDownFile: false),
        .pipe(PairID(1), reader: 14, writer: -1),
        .extras(
            ServiceID(2),
            .init(
                reader: 15, socket: 16, address: "@name",
                sockets: [(17, .init(kind: .udp, address: "127.0.0.1:53", name: "dns"))],
                stored: [(18, "state", isPolled: true)])),
        .output(ServiceID(2), .init(reader: 22, writer: 23, errorReader: -1, errorWriter: -1)),
        .outputLogger(77, socket: 24),
        .pipeline("reader", reader: 25, writer: 26, users: [ServiceID(1), ServiceID(2)]),
        .scanControl(lock: 30, control: 31, FileID(device: 5, inode: 6)),
        .environment(["A=1", "B="]),
        .predecessor(
            ServiceID(2),
            Predecessor(pid: 88, since: TAI64N(label: 1 << 62, nanoseconds: 3), isReady: true)),
        .closed(ServiceID(0)),
    ]

    private let steps: [JournalEntry] = [
        .happened(
            .began, Moment(nanoseconds: 1, timeOfDay: TAI64N(unixSeconds: 2, nanoseconds: 3)),
            .none),
        .performed(tag: 5, .piped(PairID(0))),
        .handed(Moment(nanoseconds: 4, timeOfDay: TAI64N(unixSeconds: 5, nanoseconds: 6))),
    ]

    private func area(_ entries: [JournalEntry]) -> (bytes: [UInt8], last: UInt32) {
        var bytes: [UInt8] = []
        var check = RecordChain.start
        for entry in entries {
            let content = entry.bytes
            check = RecordChain.check(content, after: check)
            bytes += RecordChain.header(content.count, check: check) + content
        }
        return (bytes, check)
    }

    private var conductor: Conductor {
        Conductor(.init(stopLimit: 5, stopReserve: 1, reachesOthers: true))
    }

    private var whole: (bytes: [UInt8], last: UInt32) {
        area([.snapshot(conductor.snapshot())] + steps + facts.map { .fact($0.bytes) })
    }

    @Test("Facts are read as they were written")
    func factsRoundTrip() throws {
        for fact in facts { #expect(try HeldFact(fact.bytes) == fact) }
    }

    @Test("A fact that is cut off, or goes on, is damaged")
    func damagedFacts() {
        for fact in facts {
            for count in 0..<fact.bytes.count {
                #expect(throws: SnapshotError.damaged) {
                    _ = try HeldFact(Array(fact.bytes[..<count]))
                }
            }
            #expect(throws: SnapshotError.damaged) { _ = try HeldFact(fact.bytes + [0]) }
        }
    }

    @Test("One of the first three descriptors is nobody's to hold")
    func standardDescriptors() {
        for number in [0, 1, 2, -2] as [Int32] {
            let fact = HeldFact.pipe(PairID(0), reader: number, writer: 5)
            #expect(throws: SnapshotError.damaged) { _ = try HeldFact(fact.bytes) }
        }
    }

    @Test("The latest facts count, and the steps stay in their order")
    func adoption() throws {
        let (bytes, last) = whole
        let adoption = try Adoption(bytes, endingWith: last)
        #expect(adoption.conductor == conductor)
        #expect(adoption.steps == steps)
        #expect(adoption.facts.services == [nil, facts[2], facts[0]])
        #expect(adoption.facts.extras[2] == facts[4])
        #expect(adoption.facts.pipes == [nil, facts[3]])
        #expect(adoption.facts.outputs[2] == facts[5])
        #expect(adoption.facts.outputLogger == facts[6])
        #expect(adoption.facts.pipelines == ["reader": facts[7]])
        #expect(adoption.facts.scanControl == facts[8])
        #expect(adoption.facts.environment == Environment(["A=1", "B="]))
        #expect(adoption.facts.predecessors[2] == facts[10])
    }

    @Test("Every damaged byte is noticed")
    func damage() {
        let (bytes, last) = whole
        for index in bytes.indices {
            var damaged = bytes
            damaged[index] ^= 0x41
            #expect(throws: SnapshotError.self) { _ = try Adoption(damaged, endingWith: last) }
        }
    }

    @Test("What does not begin with the conductor is damaged")
    func noSnapshot() {
        let (bytes, last) = area(steps)
        #expect(throws: SnapshotError.damaged) { _ = try Adoption(bytes, endingWith: last) }
        #expect(throws: SnapshotError.damaged) {
            _ = try Adoption([], endingWith: RecordChain.start)
        }
    }

    @Test("Steps are taken one after another, and those of another conductor are noticed")
    func replay() {
        var replay = Replay(steps)
        #expect(replay.nextEvent()?.0 == .began)
        #expect(replay.outcome(of: .makePipe(PairID(5))) == nil)
        #expect(replay.isBroken)
        replay = Replay([.performed(tag: Action.makePipe(PairID(5)).tag, .piped(PairID(5)))])
        #expect(replay.outcome(of: .makePipe(PairID(5))) == .piped(PairID(5)))
        #expect(replay.isAtEnd && !replay.isBroken)
        replay = Replay(steps)
        #expect(replay.nextMoment() == nil)
        #expect(replay.isBroken)
    }

    @Test("Descriptors are taken once, by those of their kind, and the rest is closed")
    func carried() throws {
        let pipe = try Pipe()
        let (reader, writer) = (pipe.reader.release(), pipe.writer.release())
        let carried = CarriedDescriptors([reader, writer])
        func has(_ number: Int32, _ isRight: (FileStatus) -> Bool) -> Bool {
            if carried.take(number, where: isRight) != nil { return true }
            return false
        }
        #expect(!has(reader) { $0.isDirectory })
        #expect(!has(Standard.error) { _ in true })
        if let taken = carried.take(reader, where: { $0.isFIFO }) {
            #expect(taken.number == reader)
            #expect(!has(reader) { $0.isFIFO })
            carried.closeRest()
            // The other end is gone.
            var buffer = [UInt8](repeating: 0, count: 1)
            #expect(try buffer.withUnsafeMutableBytes { try read(taken.number, into: $0) } == 0)
        } else {
            Issue.record("it was not to be had")
        }
    }
}
