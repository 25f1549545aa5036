import Bytes
import Commands
import Linux

/// Says when each step of the way up and of the way down was done, for people who look where the time goes: with
/// `apus.trace` on the kernel's command line.
struct StepTimes: Sendable {
    private let messages: Messages?

    /// Says nothing unless `isWanted`.
    init(isWanted: Bool, _ messages: Messages) { self.messages = isWanted ? messages : nil }

    /// A line with milliseconds since the kernel started, as its own messages count them.
    func note(_ step: StaticString) {
        guard let messages else { return }
        messages.information("\(Instant.now.nanoseconds / 1_000_000) ms: \(ByteString(step))")
    }
}
