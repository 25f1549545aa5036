import Bytes
import Commands
import Linux
import Services

/// Becoming another binary in place: the one that has this one's name by now, or one that was named. It is asked first whether it reads what
/// this one leaves, by `apus --table-version`, without waiting for the answer.
public final class Upgrade {
    /// What a binary answers that goes on where this one stops.
    public static var version: ByteString {
        "apus table \(CarriedTable.version).\(Conductor.snapshotVersion)\n"
    }
    /// For how many milliseconds the answer is waited for.
    private static let patience: UInt64 = 5000

    /// The file, which stays the same whatever gets its name while it is asked.
    let binary: Descriptor
    /// Its path, for messages.
    let path: ByteString
    private let answer: Descriptor
    private let pid: ProcessID
    private var text: [UInt8] = []
    /// When the answer is late.
    let deadline: Instant

    /// Asks the binary at `named`, or the one that has this one's name by now. One that was named must be root's or this
    /// user's, and is not reached through a link of anybody else.
    init(to named: ByteString?, _ environment: Environment) throws(SystemError) {
        if let named {
            path = named
            binary = try openTrusted(named, .read)
            let status = try status(of: binary.number)
            if !status.isRegular { throw SystemError("open", .notRegular) }
            if !status.isOwn { throw SystemError("open", .foreignFile) }
        } else {
            path = try Upgrade.path()
            binary = try openFile(path, .path)
        }
        let pipe = try Pipe()
        try setNonBlocking(pipe.reader.number, true)
        var setup = ChildSetup()
        setup.descriptors = [-1, pipe.writer.number]
        setup.newSession = true
        setup.defaultSignals = .all
        let invocation = Invocation(
            "/proc/self/fd/\(binary.number)", arguments: ["apus", "--table-version"],
            environment: environment)
        do throws(SpawnError) { pid = try spawn(invocation, setup) } catch { throw error.cause }
        answer = consume pipe.reader
        deadline = Instant.now.advanced(milliseconds: Upgrade.patience)
    }

    /// The name of the file that this process runs, which another one has by now.
    private static func path() throws(SystemError) -> ByteString {
        let link = try readLink("/proc/self/exe")
        let mark: ByteString = " (deleted)"
        guard link.count > mark.count, ByteString(link.bytes.suffix(mark.count)) == mark else {
            return link
        }
        return ByteString(link.bytes.dropLast(mark.count))
    }

    /// The number to wait on for the answer.
    var number: Int32 { answer.number }

    /// What came of asking: with another table, services are taken over as after a kill.
    enum Answer { case none, sameTable, otherTable, wrong }

    /// Reads what has come.
    func read() -> Answer {
        let number = number
        return withUnsafeTemporaryAllocation(byteCount: 64, alignment: 1) { block in
            do throws(SystemError) {
                let count = try Linux.read(number, into: block)
                text += block[..<count]
                if count > 0 && text.count <= 64 { return .none }
                return Upgrade.meaning(of: ByteString(text))
            } catch { return error.errno == .again ? .none : .wrong }
        }
    }

    /// What a whole answer means.
    static func meaning(of text: ByteString) -> Answer {
        if text == version { return .sameTable }
        guard text.hasPrefix("apus table "), text.bytes.last == UInt8(ascii: "\n") else {
            return .wrong
        }
        let numbers = ByteString(text.bytes.dropFirst(11).dropLast()).parts(
            separatedBy: UInt8(ascii: "."))
        let areNumbers = numbers.allSatisfy { !$0.isEmpty && scanDecimal($0.bytes).1 == $0.count }
        return numbers.count == 2 && areNumbers ? .otherTable : .wrong
    }

    /// Ends the process that was asked, which may be any program.
    func end() {
        // Its id may be another's once it was reaped.
        guard isChild(pid) else { return }
        do throws(SystemError) { try send(.kill, to: -pid) } catch {}
    }
}
