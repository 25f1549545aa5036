import Bytes
import Formats
import Linux
import Services

/// The journal by which the next image of this process goes on where this one stops, by a fault or by somebody's wish.
/// It holds the conductor as it once was, all that happened since, and what is held in the kernel.
///
/// Nothing that must not be forgotten is only in the heap, at no time:
///
/// - What happens is written before it is handed to the conductor. What makes it unrepeatable comes after that (the
///   dead are looked at by waitid(2) with WNOWAIT, written down, and reaped then), or is done by the kernel in the table
///   itself (letters of a FIFO and signals are read right into it).
/// - An action is written after it was performed, with what came of it. The one that was under way at a fault is
///   performed again, which makes no difference for all but the start of a process; of that, the kernel writes the id
///   into the table before the process runs (CLONE_PARENT_SETTID).
/// - What is opened is written after it was opened, and what is closed before. A descriptor that came over an exec and
///   that nothing written tells of is closed.
///
/// A signal that was being sent at the very time of a fault may be sent twice, and is never lost.
final class Carryover {
    private let table: CarriedTable
    /// Where to begin anew: when so many bytes have been written.
    private var limit = 0
    private static let leastLimit = 4096
    private var check: UInt32
    private var isFull = false

    /// A new one, which holds that conductor. After a fault that left nothing of use, it is not forgotten how many there
    /// were. Throws where the kernel does not let it.
    init(_ conductor: Conductor, _ facts: [HeldFact], after fault: CarriedTable.Fault?)
        throws(SystemError)
    {
        table = try CarriedTable()
        if let fault { table.remember(fault) }
        check = RecordChain.start
        renew(conductor, facts)
    }

    /// Goes on with the table of the image before.
    init(_ table: CarriedTable) {
        self.table = table
        check = table.end.check
        limit = max(table.end.used, Carryover.leastLimit)
    }

    /// From now on a fault is survived.
    func arm() throws(SystemError) { try table.arm() }

    /// Notes that a whole turn has been completed.
    func noteProgress() { table.noteProgress() }

    /// Executes another binary, which goes on. Throws why that is not possible.
    func become(_ binary: borrowing Descriptor, _ conductor: Conductor, _ facts: [HeldFact])
        throws(SystemError)
    {
        renew(conductor, facts)
        try table.carryOver(to: binary)
    }

    /// Notes the process of the main command.
    func note(command pid: ProcessID) { table.note(command: pid) }

    /// Notes the score for when memory runs out that services are to have.
    func note(memoryScore score: Int32) { table.note(memoryScore: score) }

    // MARK: - Writing

    /// Writes an entry, which counts when this returns.
    func write(_ entry: JournalEntry) {
        if isFull { return }
        let content = entry.bytes
        let next = RecordChain.check(content, after: check)
        if table.append(RecordChain.header(content.count, check: next), content, check: next) {
            check = next
        } else {
            isFull = true
            // Without what comes now it would be wrong.
            table.spoil()
        }
    }

    /// Writes what is held.
    func write(_ fact: HeldFact) {
        for number in fact.numbers { table.note(descriptor: number) }
        write(.fact(fact.bytes))
    }

    /// Notes a descriptor that is to be closed by whoever comes after.
    func note(_ number: Int32) { table.note(descriptor: number) }

    /// Whether so much has been written that it is worth while to begin anew, at a time when no action is due.
    var isLong: Bool { isFull || table.end.used > limit }

    /// Begins anew with the conductor as it is now, and with what is held now.
    func renew(_ conductor: Conductor, _ facts: [HeldFact]) {
        var last = RecordChain.start
        var used = 0
        // All of it has been taken, which the new entries do not tell.
        table.clear()
        table.renew { append in
            for entry in [.snapshot(conductor.snapshot())] + facts.map({ .fact($0.bytes) })
                as [JournalEntry]
            {
                let content = entry.bytes
                let next = RecordChain.check(content, after: last)
                let header = RecordChain.header(content.count, check: next)
                guard append(header, content, next) else { return false }
                last = next
                used += header.count + content.count
            }
            return true
        }
        for fact in facts { for number in fact.numbers { table.note(descriptor: number) } }
        check = table.end.check
        isFull = check != last
        limit = used + max(used / 4, Carryover.leastLimit)
    }

    // MARK: - What the kernel writes by itself

    /// Reads letters; see `CarriedTable.readLetters`.
    func readLetters(_ descriptor: Int32, token: UInt64) throws(SystemError)
        -> CarriedTable.Letters
    { try table.readLetters(descriptor, token: token) }

    /// Takes a signal; see `CarriedTable.readSignal`.
    func readSignal(_ signals: borrowing SignalDescriptor) throws(SystemError) -> (
        Signal, serial: UInt32
    )? { try table.readSignal(signals) }

    /// Where the kernel is to write the id of the process that is about to be started.
    func expectStart() -> UnsafeMutablePointer<Int32> { table.expectStart() }

    /// The process that was started by the action that was under way.
    var startedProcess: ProcessID { table.startedProcess }
}
