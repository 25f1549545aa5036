import Bytes
import Testing

@testable import Services

/// Conductors of every shape.
private let shapes: [Conductor] = {
    var shapes: [Conductor] = []
    func keep(_ script: Script) { shapes.append(script.conductor) }
    keep(Script())
    keep(Script(hasScanDirectory: false, single: "one", reachesOthers: true))
    var command = Script(command: "command", reachesOthers: true)
    command.take(.began)
    command.take(.notListed(Complaint("unable to read directory", errno: 2)))
    keep(command)
    command.take(.congested(ServiceID(0)))
    keep(command)
    command.take(.timePassed, at: 10)
    command.take(.started(ServiceID(0), pid: 50))
    keep(command)
    command.take(.stopAsked(.kexec, signal: .terminate))
    keep(command)
    command.take(.died(pid: 50, Death(status: 3)))
    keep(command)
    command.take(.noChildrenLeft)
    keep(command)

    var pair = Script.onePairUp()
    keep(pair)
    pair.take(.directoryChanged, at: 1000)
    pair.list([("a", 1), ("b", 2)], isWhole: false)
    keep(pair)
    pair.take(.inspected(PairID(1), signature: 77, hasRun: false))
    keep(pair)
    for command in [Command.pause, .once, .exit] {
        pair.take(.commanded(ServiceID(1), command))
        keep(pair)
    }
    pair.take(.died(pid: 100, Death(status: 111 << 8, startError: 13)), at: 1500)
    keep(pair)
    pair.take(.timePassed, at: 7000)
    pair.take(.notExamined(PairID(1), Complaint("unable to stat b", errno: 5)))
    keep(pair)
    pair.take(.directoryChanged)
    pair.take(
        .listed(
            Listing(
                directory: FileID(device: 3, inode: 4),
                entries: [
                    .init(name: "c", content: .unknown(Complaint("unable to stat c", errno: 40)))
                ], cost: 1, isWatched: false)))
    keep(pair)
    return shapes
}()

/// A conductor written down and restored.
@Suite("The snapshot") struct SnapshotTests {
    @Test("A restored conductor is the same", arguments: shapes.indices)
    func roundTrip(index: Int) throws {
        let conductor = shapes[index]
        let snapshot = conductor.snapshot()
        let restored = try Conductor(snapshot: snapshot)
        #expect(restored == conductor)
        #expect(try Conductor(snapshot: snapshot + [1, 2, 3]) == conductor)
    }

    @Test("The shapes differ")
    func differ() {
        for (index, shape) in shapes.enumerated() {
            #expect(!shapes[..<index].contains(shape))
        }
    }

    @Test("Nothing that was cut off is restored", arguments: shapes.indices)
    func truncated(index: Int) {
        let snapshot = shapes[index].snapshot()
        for count in snapshot.indices {
            #expect(throws: SnapshotError.damaged) {
                try Conductor(snapshot: Array(snapshot[..<count]))
            }
        }
    }

    @Test("Nothing with a bit that is wrong is restored", arguments: shapes.indices)
    func flipped(index: Int) {
        let snapshot = shapes[index].snapshot()
        for bit in 0..<8 * snapshot.count {
            var damaged = snapshot
            damaged[bit / 8] ^= 1 << UInt8(bit % 8)
            #expect(throws: SnapshotError.self) { try Conductor(snapshot: damaged) }
        }
    }

    @Test("Another version is named as such")
    func version() {
        var snapshot = Conductor(
            .init(hasScanDirectory: true, stopLimit: 0, stopReserve: 0, reachesOthers: false)
        ).snapshot()
        snapshot[4] += 1
        #expect(throws: SnapshotError.version) { try Conductor(snapshot: snapshot) }
    }

    @Test(
        "A wrong bit under a right checksum is refused or makes something that works",
        arguments: shapes.indices)
    func sealed(index: Int) throws {
        let snapshot = shapes[index].snapshot()
        // Another bit of each byte in each shape.
        for byte in Conductor.headerSize..<snapshot.count {
            let bit = 8 * byte + (byte + index) % 8
            var damaged = snapshot
            damaged[bit / 8] ^= 1 << UInt8(bit % 8)
            guard
                let restored = try? Conductor(
                    snapshot: Conductor.sealed(body: damaged[Conductor.headerSize...]))
            else { continue }
            #expect(try Conductor(snapshot: restored.snapshot()) == restored)
            live(restored)
        }
    }

    /// Whatever happens next, nothing traps.
    private func live(_ conductor: Conductor) {
        var script = Script()
        script.conductor = conductor
        script.now = 20_000
        var events: [Event] = [.timePassed, .rescanAsked, .directoryChanged, .noChildrenLeft]
        for index in 0..<4 {
            events += [
                .commanded(ServiceID(index), .pause), .commanded(ServiceID(index), .exit),
                .started(ServiceID(index), pid: 9),
                .examined(PairID(index), log: FileID(device: 2, inode: 1)),
                .piped(PairID(index)), .opened(ServiceID(index), isDown: false),
            ]
        }
        for pid in conductor.processes.keys { events.append(.died(pid: pid, Death(status: 0))) }
        events += [
            .stopAsked(.exit, signal: .terminate), .timePassed,
            .stopAsked(.exit, signal: .terminate), .timePassed,
        ]
        for event in events { script.take(event) }
        for _ in 0..<10 { script.take(.timePassed, at: script.now + 5000) }
        _ = script.conductor.deadline
        _ = script.conductor.snapshot()
    }
}
