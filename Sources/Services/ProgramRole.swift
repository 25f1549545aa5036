import Bytes

/// Which of a service's programs a process is.
public enum ProgramRole: Equatable, Sendable {
    /// `run`, or the `up` of a one-shot.
    case run
    /// encore's `start`, before the first `run`.
    case prepare
    /// runit's `control/u`, before each `run`.
    case announce
    /// `finish`, told how which process ended.
    case finish(Death, pid: Int32)
    /// encore's `stop`, after the last `run`.
    case stop
    /// The `down` of a one-shot.
    case undo

    /// Its file, seen from the directory of a service of that definition.
    public func file(_ definition: ServiceDefinition?) -> ByteString {
        switch self {
        case .run:
            definition?.kind == .oneshot && definition?.programs.contains(.up) == true
                ? "up" : "run"
        case .prepare: "start"
        case .announce: "control/u"
        case .finish: "finish"
        case .stop: "stop"
        case .undo: "down"
        }
    }

    /// Whether it only follows what was there before: it is started whatever is wanted by now.
    var isHelper: Bool {
        switch self {
        case .run, .prepare, .announce: false
        case .finish, .stop, .undo: true
        }
    }
}

/// What people are told of a service.
public enum ServiceReport: Equatable, Sendable {
    /// It ended though it was to be up; when it is started again, in nanoseconds from now, nil for not at all.
    case ended(Death, lived: UInt64, next: UInt64?)
    /// It has failed for good.
    case failed
    /// It did not end in time, so it is killed.
    case killed
    /// It is not ready in time.
    case late
    /// It did not ping in time.
    case silent
}
