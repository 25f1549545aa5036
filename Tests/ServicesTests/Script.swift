import Bytes
import Formats

@testable import Services

/// A conductor to which a test tells what happens when.
struct Script {
    var conductor: Conductor
    /// Milliseconds since the beginning, by the clock that never goes back.
    var now: UInt64 = 0

    static let scanDirectory = FileID(device: 9, inode: 1)

    init(
        hasScanDirectory: Bool = true, single: ByteString? = nil, command: ByteString? = nil,
        reachesOthers: Bool = false
    ) {
        conductor = Conductor(
            .init(
                single: single, hasScanDirectory: hasScanDirectory, command: command,
                stopLimit: 10_000_000_000, stopReserve: 2_000_000_000, reachesOthers: reachesOthers)
        )
    }

    static func moment(_ milliseconds: UInt64) -> Moment {
        Moment(
            nanoseconds: milliseconds * 1_000_000,
            timeOfDay: TAI64N(unixSeconds: Int64(milliseconds / 1000), nanoseconds: 0))
    }

    /// Hands in an event; returns what is to be done.
    @discardableResult
    mutating func take(_ event: Event, at milliseconds: UInt64? = nil) -> [Action] {
        now = max(now, milliseconds ?? now)
        return conductor.handle(event, at: Script.moment(now))
    }

    /// Lets the scan find these names.
    @discardableResult
    mutating func list(
        _ entries: [(ByteString, UInt64)], isWhole: Bool = true, isWatched: Bool = true,
        in directory: FileID = Script.scanDirectory, cost: UInt64 = 0
    ) -> [Action] {
        take(
            .listed(
                Listing(
                    directory: directory,
                    entries: entries.map {
                        .init(name: $0.0, content: .directory(Script.file($0.1), isWhole: isWhole))
                    }, cost: cost, isWatched: isWatched)))
    }

    static func file(_ inode: UInt64) -> FileID { FileID(device: 1, inode: inode) }

    /// When to hand in the time, in milliseconds.
    var deadline: UInt64? { conductor.deadline.map { $0 / 1_000_000 } }

    /// One service that is up: pair 0, service 0, process 100.
    static func oneUp() -> Script {
        var script = Script()
        script.take(.began)
        script.list([("a", 1)])
        script.take(.examined(PairID(0), log: nil))
        script.take(.opened(ServiceID(0), isDown: false))
        script.take(.started(ServiceID(0), pid: 100))
        return script
    }

    /// One service with its logger: pair 0, logger 0, process 200, service 1, process 100.
    static func onePairUp(reachesOthers: Bool = false) -> Script {
        var script = Script(reachesOthers: reachesOthers)
        script.take(.began)
        script.list([("a", 1)])
        script.take(.examined(PairID(0), log: FileID(device: 2, inode: 1)))
        script.take(.piped(PairID(0)))
        script.take(.opened(ServiceID(0), isDown: false))
        script.take(.opened(ServiceID(1), isDown: false))
        script.take(.started(ServiceID(0), pid: 200))
        script.take(.started(ServiceID(1), pid: 100))
        return script
    }
}

extension [Action] {
    /// Without the status files.
    var withoutStatus: [Action] {
        filter { if case .writeStatus = $0 { false } else { true } }
    }

    /// The lines for people.
    var remarks: [String] {
        compactMap {
            if case .say(let remark) = $0 {
                String(decoding: remark.text.bytes, as: UTF8.self)
            } else {
                nil
            }
        }
    }

    /// Without what is for people: lines, status files, and the report of what a service left behind.
    var deeds: [Action] {
        withoutStatus.filter {
            switch $0 {
            case .say, .killRest(_, _, .process): false
            default: true
            }
        }
    }
}

extension [Action] {
    /// With no more of status files than the 18 bytes that daemontools reads.
    var withoutDetails: [Action] {
        map { action in
            guard case .writeStatus(let id, var record) = action else { return action }
            record.details = nil
            return .writeStatus(id, record)
        }
    }
}
