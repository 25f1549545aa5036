import Bytes
import Formats
import Services

/// What is to be seen of a service once commands have had their effect.
public struct Expectation: Equatable, Sendable {
    /// What it comes to in the end.
    public enum Outcome: Equatable, Sendable {
        /// Nothing that can be seen: a signal that does not end the process.
        case nothing
        /// It is up and ready, or was started to run once.
        case ready
        /// Nothing of it has a process.
        case finished
        /// Nobody supervises it.
        case unsupervised
        /// It is paused.
        case paused
        /// It is not.
        case resumed
    }

    /// What it comes to.
    public private(set) var outcome = Outcome.nothing
    /// Whether the process there was is to have ended first.
    private var endsProcess = false
    private var isOnce = false
    /// What was known before the commands were sent.
    private let before: StatusRecord

    /// What `commands`, sent in this order, come to for a service in the state `before`.
    public init(of commands: [Command], before: StatusRecord) {
        self.before = before
        for command in commands { add(command) }
    }

    private mutating func add(_ command: Command) {
        switch command {
        case .up, .once:
            isOnce = command == .once
            if outcome != .unsupervised { outcome = .ready }
        case .down:
            endsProcess = true
            if outcome != .unsupervised { outcome = .finished }
        case .exit: outcome = .unsupervised
        case .terminate, .kill, .restart:
            endsProcess = before.pid != 0
            // It comes back if it is wanted up, else not.
            if outcome == .nothing {
                outcome = before.want == StatusRecord.wantsUp ? .ready : .finished
            }
        case .pause: if outcome == .nothing { outcome = .paused }
        case .continue: if outcome == .nothing || outcome == .paused { outcome = .resumed }
        case .hangup, .alarm, .interrupt, .quit, .user1, .user2, .windowChange, .reload: break
        }
    }

    /// How far it has come; `record` is nil when nobody supervises the service any more.
    public func verdict(on record: StatusRecord?) -> WaitVerdict {
        if outcome == .nothing { return .reached }
        guard let record else {
            return outcome == .unsupervised ? .reached : .impossible("not supervised any more")
        }
        let isSame = record.pid == before.pid && record.since == before.since
        let hasEnded = !endsProcess || before.pid == 0 || !isSame
        switch outcome {
        case .nothing, .unsupervised: return .pending
        case .ready:
            if isOnce, !isSame, record.want == StatusRecord.wantsNothing { return .reached }
            if record.state == .failed, record != before { return .impossible("failed") }
            let isWanted = record.want != StatusRecord.wantsDown
            return hasEnded && isWanted && record.meets(.ready) ? .reached : .pending
        case .finished:
            let isWanted = endsProcess && record.want == StatusRecord.wantsUp
            return record.meets(.finished) && !isWanted ? .reached : .pending
        case .paused: return record.isPaused || record.pid == 0 ? .reached : .pending
        case .resumed: return record.isPaused ? .pending : .reached
        }
    }
}
