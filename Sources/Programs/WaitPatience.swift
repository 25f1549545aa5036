import Bytes
import Commands
import Linux
import ServiceFiles

/// How long svc and svwait wait, and how they tell what has come of it.
struct WaitPatience {
    /// In milliseconds; nil for ever.
    private let limit: UInt64?

    /// The time that an option was given; empty for ever.
    init(_ text: ByteString) throws(Failure) {
        if text.isEmpty {
            limit = nil
        } else if let limit = parseTimeSpan(text) {
            self.limit = limit
        } else {
            throw Failure(
                "\(text) is no time: a number of seconds, or one with ms, s, m or h", exitCode: 100)
        }
    }

    /// Waits for services, and reports those for which it was in vain: 0 if it was not, 1 if one cannot become as it is
    /// to be, 99 if time ran out, as s6-svwait has it.
    func exitCode(
        of services: [WatchedService], isAny: Bool, _ messages: Messages,
        _ wait: (Instant?) throws(SystemError) -> [WaitVerdict]
    ) throws(Failure) -> Int32 {
        let verdicts: [WaitVerdict]
        do throws(SystemError) {
            verdicts = try wait(limit.map { Instant.now.advanced(milliseconds: $0) })
        } catch { throw error.explained("unable to read the status of a service") }
        if isAny && verdicts.contains(.reached) { return 0 }
        let isHopeless = verdicts.contains { $0 != .reached && $0 != .pending }
        for (index, verdict) in verdicts.enumerated() {
            switch verdict {
            case .reached: break
            case .impossible(let reason): messages.warning("\(services[index].name): \(reason)")
            case .pending:
                if !isHopeless { messages.warning("timed out waiting for \(services[index].name)") }
            }
        }
        if isHopeless { return 1 }
        return verdicts.contains(.pending) ? 99 : 0
    }
}
