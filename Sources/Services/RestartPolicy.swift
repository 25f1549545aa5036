import Formats

/// What is remembered of the ends of a service, to decide about the next start.
struct RestartHistory: Equatable {
    /// How many failures there were in a row.
    var failures: UInt32 = 0
    /// When the window of the limit began, and how many restarts it has seen.
    var windowStart: UInt64 = 0
    var restarts: UInt32 = 0
}

/// What follows the end of a service that is to be up: decided by how it ended, what its definition says and what was
/// before.
enum RestartPolicy {
    /// What follows.
    enum Decision: Equatable {
        /// It is started again, not before this time.
        case restart(at: UInt64)
        /// It is not started again, and that is in order.
        case end
        /// It is not started again, and has failed.
        case fail(StatusDetails.Reason)
    }

    /// A service that lived longer than this has recovered from the failures before, or longer than its longest delay.
    static let recovery: UInt64 = .seconds(10)

    /// Whether an end is no failure.
    static func isSuccess(_ death: Death, _ definition: ServiceDefinition) -> Bool {
        if death.startError != 0 { return false }
        if death.status == 0 { return true }
        return definition.successes.contains(death.ending)
    }

    /// Whether a signal ended it that asks a program to end.
    static func isClean(_ death: Death, _ definition: ServiceDefinition) -> Bool {
        [definition.stopSignal, 1, 2, 15].contains(death.signal)
    }

    /// Decides. `isExpected` when somebody sent it a signal; `earliest` is what the start before allows.
    static func decide(
        _ death: Death, wasCondemned: Bool, isExpected: Bool, lived: UInt64,
        _ definition: ServiceDefinition, _ history: inout RestartHistory, earliest: UInt64,
        at now: UInt64
    ) -> Decision {
        let isSuccess =
            isSuccess(death, definition) || isExpected && isClean(death, definition)
        let isFailure = wasCondemned || !isSuccess
        if definition.finals.contains(death.ending) || isPermanent(death, definition) {
            return isFailure ? .fail(.permanent) : .end
        }
        switch definition.restart {
        case .always: break
        case .onFailure: if !isFailure { return .end }
        case .never: return isFailure ? .fail(.ended) : .end
        }
        if exceedsLimit(definition, &history, at: now) { return .fail(.tooManyRestarts) }
        let hasRecovered = lived > max(recovery, definition.longestDelay)
        history.failures = !isFailure || hasRecovered ? (isFailure ? 1 : 0) : history.failures + 1
        return .restart(at: time(definition, earliest, history.failures, at: now))
    }

    /// encore's way of saying that a service cannot run.
    private static func isPermanent(_ death: Death, _ definition: ServiceDefinition) -> Bool {
        !definition.programs.isDisjoint(with: [.start, .stop, .notify])
            && death.ending == .code(100)
    }

    private static func exceedsLimit(
        _ definition: ServiceDefinition, _ history: inout RestartHistory, at now: UInt64
    ) -> Bool {
        guard let limit = definition.restartLimit else { return false }
        if now - min(history.windowStart, now) > definition.limitWindow || history.restarts == 0 {
            history.windowStart = now
            history.restarts = 0
        }
        history.restarts += 1
        return history.restarts > limit
    }

    /// The delay counts from the start before. One that grows counts from the end, and differs a little from service
    /// to service, so that those that failed together do not come back together.
    private static func time(
        _ definition: ServiceDefinition, _ least: UInt64, _ failures: UInt32, at now: UInt64
    ) -> UInt64 {
        guard definition.longestDelay > definition.delay, failures > 0 else { return least }
        let delay = backOff(definition, failures)
        let jitter = (now &* 0x9e37_79b9_7f4a_7c15) >> 32 % max(1, delay / 8)
        return max(least, now + delay + jitter)
    }

    /// The delay after so many failures in a row, without what it differs by.
    static func backOff(_ definition: ServiceDefinition, _ failures: UInt32) -> UInt64 {
        var delay = max(1, definition.delay)
        for _ in 1..<max(2, min(failures, 64)) where delay < definition.longestDelay && failures > 1
        {
            delay = min(delay * 2, definition.longestDelay)
        }
        return delay
    }
}

extension Death {
    /// The end as a definition names it.
    var ending: ServiceDefinition.Ending {
        signal == 0 ? .code(UInt8(truncatingIfNeeded: exitCode)) : .signal(signal)
    }
}
