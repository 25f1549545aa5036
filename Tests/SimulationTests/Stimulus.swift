import Services

/// Something that happens in a simulated world. Operands are plain numbers that the world takes modulo what there is
/// at that moment, so that a schedule still means something when some of it is left out.
enum Stimulus: Equatable {
    /// Time passes. Whoever sleeps until a deadline wakes so many nanoseconds too late.
    case wait(UInt64, lateBy: UInt64)
    /// A command comes through the FIFO of a service.
    case command(service: Int, Command)
    /// A process ends by itself, with this wait status.
    case end(process: Int, status: Int32)
    /// A process leaves one behind that has its descriptors.
    case fork(process: Int)
    /// A process begins or ceases to ignore signals that can be ignored.
    case ignore(process: Int, Bool)
    /// A process does not even end by SIGKILL, for so many nanoseconds.
    case hang(process: Int, UInt64)
    /// A service writes so many bytes.
    case write(process: Int, Int)
    /// A logger reads so many bytes.
    case read(process: Int, Int)
    /// A directory changes.
    case change(FileChange, name: Int, other: Int)
    /// The next attempts fail.
    case fail(Failure, times: Int)
    /// The time of day is set, in seconds.
    case setClock(Int64)
    /// SIGHUP.
    case hangup
    /// A signal for the main command.
    case forward(Int32)
    /// A process that is not ours becomes a child, and ends.
    case orphan
    /// A service says something of itself.
    case say(service: Int, Int)
    /// A look at the clock although nothing is due.
    case wakeEarly
    /// Everything is asked to stop.
    case stop(Int, signal: Int32)
    /// Nothing goes wrong any more for so long that all must be as it should be.
    case settle
}

/// What may happen to the scan directory and to what is in it.
enum FileChange: CaseIterable {
    case define, make, link, linkAgain, fill, addLog, removeLog, addDown, removeDown, remove,
        replace,
        rename, alias,
        dangle
    case breakEntry, mendEntry, lock, unlock, vanish, appear, replaceAll, watch, unwatch
}

/// What may be refused.
enum Failure: CaseIterable {
    case list, inspect, examine, pipe, open, fork, congestion, exec
}

/// What a world is like, and what happens in it.
struct Schedule {
    /// Which program it is.
    enum Kind: CaseIterable {
        case scan, initialize, initializeWithCommand, commandAlone, supervise
    }

    var kind: Kind
    /// Nanoseconds that a stop may take, and how many are kept for what comes after the services.
    var limit: UInt64
    var reserve: UInt64
    /// Whether outcomes are handed in when all actions have been performed, or each at once.
    var isBatched: Bool
    /// Whether directories hold more than `run`.
    var isDefined = false
    /// How many events pass between two times that the conductor is written down and restored; 0 for never.
    var restoreEvery: Int
    var stimuli: [Stimulus]
}

extension Schedule {
    /// A random one.
    init(seed: UInt64, length: Int) {
        var random = Random(seed: seed)
        kind = random.pick([
            .scan, .scan, .initialize, .initialize, .initializeWithCommand, .commandAlone,
            .supervise,
        ])
        limit = random.pick([0, 500, 9000, 9000, 60_000]) * 1_000_000
        reserve = limit / random.pick([1, 4, 8])
        isBatched = random.once(in: 2)
        restoreEvery = random.pick([0, 1, 7, 50])
        let calm = random.once(in: 4)
        isDefined = kind != .supervise && kind != .commandAlone && random.once(in: 2)
        stimuli = []
        for _ in 0..<2 + random.below(4) {
            stimuli.append(
                .change(random.pick([.make, .link]), name: random.index, other: random.index))
        }
        while stimuli.count < length {
            if isDefined && random.once(in: 8) {
                stimuli.append(.say(service: random.index, Int(random.below(12))))
            }
            stimuli.append(Stimulus(&random, isCalm: calm))
        }
        // A stop in which much happens, and that is asked for again.
        for _ in 0..<random.below(3) {
            let processes = 0..<Int(random.below(4))
            stimuli += processes.map { .ignore(process: $0, true) }
            stimuli.append(.stop(random.index, signal: random.pick([2, 15])))
            for _ in 0..<random.below(8) { stimuli.append(Stimulus(&random, isCalm: calm)) }
        }
    }
}

extension Stimulus {
    init(_ random: inout Random, isCalm: Bool) {
        switch random.below(100) {
        case 0..<24:
            self = .wait(random.time, lateBy: random.once(in: 3) ? random.below(50_000_000) : 0)
        case 24..<38: self = .command(service: random.index, random.command)
        case 38..<46:
            let status: Int32 =
                random.once(in: 8)
                ? random.pick([100 << 8, 125 << 8])
                : random.pick([0, 0, 256, 11, 9])
            self = .end(process: random.index, status: status)
        case 46: self = .fork(process: random.index)
        case 47..<49: self = .ignore(process: random.index, random.once(in: 2))
        case 49:
            self = .hang(process: random.index, random.once(in: 4) ? .max : random.time)
        case 50..<58: self = .write(process: random.index, 1 + Int(random.below(5)))
        case 58..<63: self = .read(process: random.index, 1 + Int(random.below(5)))
        case 63..<83:
            self = .change(
                random.pick(FileChange.common), name: random.index, other: random.index)
        case 83..<85:
            self = .change(random.pick(FileChange.rare), name: random.index, other: random.index)
        case 85..<91:
            let failure = random.pick(Failure.allCases)
            self = isCalm ? .wakeEarly : .fail(failure, times: 1 + Int(random.below(4)))
        case 91: self = .setClock(Int64(random.below(1 << 40)) - 1 << 39)
        case 92: self = .hangup
        case 93: self = .forward(random.pick([1, 10, 15]))
        case 94: self = .orphan
        case 95: self = .wakeEarly
        case 96 where random.once(in: 4): self = .stop(random.index, signal: random.pick([2, 15]))
        case 97 where random.once(in: 3): self = .settle
        default: self = .wait(random.below(1_000_000), lateBy: 0)
        }
    }
}

extension FileChange {
    /// What administrators and installers do.
    static let common: [FileChange] = [
        .define, .make, .make, .link, .link, .linkAgain, .fill, .fill, .fill, .addLog, .addDown,
        .removeDown,
        .remove,
        .remove, .replace, .replace, .replace, .rename, .alias,
    ]
    /// What happens on a bad day.
    static let rare: [FileChange] = [
        .removeLog, .dangle, .breakEntry, .mendEntry, .mendEntry, .lock, .unlock, .unlock, .vanish,
        .appear, .appear, .replaceAll, .watch, .watch, .unwatch,
    ]
}

extension Random {
    mutating func pick<Element>(_ elements: [Element]) -> Element {
        elements[Int(below(UInt64(elements.count)))]
    }

    /// A number that is taken modulo what there is.
    fileprivate var index: Int { mutating get { Int(below(1 << 20)) } }

    /// A time such as matters here: of a turn, of a look, of a restart, of a rescan, of a backing off.
    fileprivate var time: UInt64 {
        mutating get {
            below(
                pick([
                    1_000_000, 100_000_000, 300_000_000, 1_200_000_000, 6_000_000_000,
                    40_000_000_000,
                ]))
        }
    }

    /// Leaving ends the game for a service, so it is rare.
    fileprivate var command: Command {
        mutating get {
            let command = pick(Command.allCases)
            return command == .exit && below(3) > 0 ? .up : command
        }
    }
}
