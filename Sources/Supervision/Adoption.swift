import Bytes
import Formats
import Linux
import Services

/// What another image of this process left in the table: the conductor as it once was, what happened since, and what is
/// held.
struct Adoption {
    /// The conductor before the steps.
    let conductor: Conductor
    /// What happened since.
    let steps: [JournalEntry]
    /// What is held after them.
    let facts: HeldFacts

    /// Reads it; throws when a bit of it is not as it was written.
    init(_ table: CarriedTable) throws(SnapshotError) {
        guard let content = table.content else { throw .version }
        try self.init(content, endingWith: table.end.check)
    }

    /// Reads the content of an area.
    init(_ content: [UInt8], endingWith check: UInt32) throws(SnapshotError) {
        let records: [ArraySlice<UInt8>]
        do throws(RecordChain.Damaged) {
            records = try RecordChain.contents(of: content[...], endingWith: check)
        } catch { throw .damaged }
        guard let first = records.first, case .snapshot(let snapshot) = try JournalEntry(first)
        else { throw .damaged }
        conductor = try Conductor(snapshot: snapshot)
        var steps: [JournalEntry] = []
        var facts = HeldFacts()
        for record in records.dropFirst() {
            switch try JournalEntry(record) {
            case .snapshot: throw .damaged
            case .fact(let bytes): try facts.note(try HeldFact(bytes))
            case let step: steps.append(step)
            }
        }
        self.steps = steps
        self.facts = facts
    }
}

/// The latest fact about each thing.
struct HeldFacts {
    private(set) var services: [HeldFact?] = []
    private(set) var predecessors: [HeldFact?] = []
    private(set) var extras: [HeldFact?] = []
    private(set) var outputs: [HeldFact?] = []
    private(set) var pipes: [HeldFact?] = []
    private(set) var outputLogger: HeldFact?
    private(set) var pipelines: [ByteString: HeldFact] = [:]
    private(set) var scanControl: HeldFact?
    private(set) var environment: Environment?

    /// More than there can be descriptors.
    private static let most = 1 << 20

    mutating func note(_ fact: HeldFact) throws(SnapshotError) {
        switch fact {
        case .service(let id, _, _, _, _): try HeldFacts.set(&services, id.index, fact)
        case .closed(let id):
            try HeldFacts.set(&services, id.index, nil)
            try HeldFacts.set(&predecessors, id.index, nil)
            try HeldFacts.set(&extras, id.index, nil)
            try HeldFacts.set(&outputs, id.index, nil)
            leavePipelines(id)
        case .predecessor(let id, _): try HeldFacts.set(&predecessors, id.index, fact)
        case .pipe(let pair, _, _): try HeldFacts.set(&pipes, pair.index, fact)
        case .extras(let id, _): try HeldFacts.set(&extras, id.index, fact)
        case .output(let id, _): try HeldFacts.set(&outputs, id.index, fact)
        case .outputLogger: outputLogger = fact
        case .pipeline(let name, _, _, _): pipelines[name] = fact
        case .scanControl: scanControl = fact
        case .environment(let entries): environment = Environment(entries)
        }
        while predecessors.count < services.count { predecessors.append(nil) }
        while extras.count < services.count { extras.append(nil) }
        while outputs.count < services.count { outputs.append(nil) }
    }

    private mutating func leavePipelines(_ id: ServiceID) {
        for case .pipeline(let name, let reader, let writer, let users) in Array(pipelines.values)
        where users.contains(id) {
            let rest = users.filter { $0 != id }
            pipelines[name] =
                rest.isEmpty
                ? nil : .pipeline(name, reader: reader, writer: writer, users: rest)
        }
    }

    private static func set(_ list: inout [HeldFact?], _ index: Int, _ fact: HeldFact?)
        throws(SnapshotError)
    {
        guard index < most else { throw .damaged }
        while list.count <= index { list.append(nil) }
        list[index] = fact
    }
}

/// The steps of a journal, taken one after another.
struct Replay {
    private let steps: [JournalEntry]
    private var place = 0
    /// Whether the steps are not those of the conductor that goes through them.
    private(set) var isBroken = false
    /// Where the last event that was taken was read from, for signals and for letters.
    private(set) var lastSignal = JournalEntry.Origin.none
    private(set) var lastLetters = JournalEntry.Origin.none

    init(_ steps: [JournalEntry]) { self.steps = steps }

    /// The steps without the last event, if none of the actions that follow from it was performed.
    func withoutLastEvent() -> Replay {
        guard case .happened = steps.last else { return self }
        return Replay(Array(steps.dropLast()))
    }

    /// Whether there are no more.
    var isAtEnd: Bool { place == steps.count }

    /// What happened next.
    mutating func nextEvent() -> (Event, Moment)? {
        guard !isAtEnd, !isBroken else { return nil }
        guard case .happened(let event, let moment, let origin) = steps[place] else {
            isBroken = true
            return nil
        }
        place += 1
        if origin.isSignal {
            lastSignal = origin
        } else if origin.serial != 0 {
            lastLetters = origin
        }
        return (event, moment)
    }

    /// When the next outcome was handed in.
    mutating func nextMoment() -> Moment? {
        guard !isAtEnd, !isBroken else { return nil }
        guard case .handed(let moment) = steps[place] else {
            isBroken = true
            return nil
        }
        place += 1
        return moment
    }

    /// What came of an action that was performed. To be asked only before the end.
    mutating func outcome(of action: Action) -> Event? {
        guard !isAtEnd, !isBroken, case .performed(action.tag, let outcome) = steps[place] else {
            isBroken = true
            return nil
        }
        place += 1
        return outcome
    }
}
