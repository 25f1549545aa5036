import Bytes
import Formats
import Linux
import Services

/// Going on after this process was executed again: what the image before left, and how often that has been tried.
final class Resumption {
    /// After so many faults before anything was completed there is no use in going on: the first is met by going on, the
    /// next ones by leaving out the action that was under way, then the event, then all that is known.
    static let mostAttempts: UInt32 = 5
    /// More faults of its own within a minute make it pause before each next one.
    private static let mostFaults: UInt32 = 20

    /// What the image before left.
    let table: CarriedTable
    /// The descriptors that came with it.
    let carried: CarriedDescriptors
    /// What is in the table; nil when it is damaged, or another version's.
    let adoption: Adoption?

    /// What there is to go on from; nil when this is no such image. Throws where there is too little of something to
    /// find out.
    init?() throws(SystemError) {
        do throws(SystemError) {
            guard let table = try CarriedTable(from: .inherited) else { return nil }
            self.table = table
        } catch {
            if error.errno.isShortage { throw error }
            return nil
        }
        carried = CarriedDescriptors(table.carried)
        do throws(SnapshotError) { adoption = try Adoption(table) } catch { adoption = nil }
    }

    /// The environment of the services, if it is not the one that this process was started with.
    var environment: Environment? { adoption?.facts.environment }

    /// Waits a little when faults come one after another.
    func rest() {
        let fault = table.fault
        var milliseconds: UInt64 = 0
        if fault.stuck > 1 { milliseconds = 50 << UInt64(min(fault.stuck, 5)) }
        if fault.recent > Resumption.mostFaults { milliseconds = 1000 }
        if milliseconds > 0 { pause(until: Instant.now.advanced(milliseconds: milliseconds)) }
    }

    /// What ended the image before, in words.
    var cause: ByteString { Resumption.cause(table.fault) }

    /// A fault in words.
    static func cause(_ fault: CarriedTable.Fault) -> ByteString {
        if fault.signal == 0 { return "another binary" }
        let name: ByteString = "signal \(fault.signal)"
        if !fault.isOwn { return "\(name) from another process" }
        return
            "a fault of its own (\(name), address \(hexadecimal(fault.address)), at \(hexadecimal(fault.instruction)))"
    }

    private static func hexadecimal(_ number: UInt64) -> ByteString {
        var digits: [UInt8] = []
        appendHexadecimal(number, width: 16, to: &digits)
        let first = digits.firstIndex { $0 != UInt8(ascii: "0") } ?? digits.count - 1
        return "0x\(ByteString(digits[first...]))"
    }
}
