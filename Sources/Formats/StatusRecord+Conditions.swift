import Bytes

/// What one can wait for a service to be.
public enum ServiceCondition: UInt8, CaseIterable, Sendable {
    /// It has a process, or, as a one-shot, has been done.
    case up
    /// It is up, and ready to do its work.
    case ready
    /// Its `run` has no process.
    case down
    /// Nothing of it has a process: `finish` has ended too.
    case finished

    /// The word for it.
    public var word: StaticString {
        switch self {
        case .up: "up"
        case .ready: "ready"
        case .down: "down"
        case .finished: "finished"
        }
    }
}

extension StatusRecord {
    /// Its state, as far as whoever wrote the record tells.
    public var state: StatusDetails.State { details?.state ?? (pid == 0 ? .down : .up) }

    /// Whether it is so.
    public func meets(_ condition: ServiceCondition) -> Bool {
        switch (condition, state) {
        case (.up, .starting), (.up, .up), (.up, .stopping), (.up, .done), (.ready, .done): true
        case (.ready, .up): !isPaused
        case (.down, .finishing): true
        case (.down, .down), (.down, .blocked), (.down, .waiting), (.down, .failed): true
        case (.finished, .down), (.finished, .blocked), (.finished, .waiting), (.finished, .failed):
            true
        default: false
        }
    }

    /// Whether it may become so without anybody asking for it anew.
    public func mayMeet(_ condition: ServiceCondition) -> Bool {
        switch condition {
        case .up, .ready: state != .failed
        case .down, .finished: true
        }
    }

    /// Since when it has been ready; nil if it is not.
    public var readyTime: TAI64N? {
        guard meets(.ready) else { return nil }
        return details?.readySince ?? since
    }
}

extension StatusDetails.State {
    /// The word for it.
    public var word: StaticString {
        switch self {
        case .down: "down"
        case .blocked: "blocked"
        case .waiting: "waiting"
        case .starting: "starting"
        case .up: "up"
        case .stopping: "stopping"
        case .finishing: "finishing"
        case .done: "done"
        case .failed: "failed"
        }
    }
}

extension StatusDetails.Reason {
    /// The words for it; nil for none.
    public var words: StaticString? {
        switch self {
        case .none: nil
        case .asked: "asked"
        case .ended: "ended"
        case .notReady: "not ready in time"
        case .tooManyRestarts: "too many restarts"
        case .permanent: "permanent failure"
        case .notExecutable: "not executable"
        case .watchdog: "watchdog"
        case .outOfMemory: "out of memory"
        case .dependency: "dependency"
        case .connection: "connection"
        }
    }
}
