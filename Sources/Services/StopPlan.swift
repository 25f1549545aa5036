/// The orderly stop, as a pure sequence of phases. A phase ends as soon as what it waits for is gone; its time is
/// only the bound after which force is used. What comes after the services needs little, the reserve, so that
/// services have all of the limit but that:
///
///     services     TERM and CONT; KILL when only the reserve is left
///     others       TERM and CONT to every other process but the loggers; KILL after a quarter of the reserve
///     loggers      they end by themselves at the end of their input; TERM after half of the reserve
///     everything   KILL at the limit, twice
///
/// Times are nanoseconds of a clock that never goes back.
struct StopPlan: Equatable {
    /// What a plan has to reckon with.
    struct Bounds: Equatable {
        /// From the request to the last KILL.
        var limit: UInt64
        /// What is kept of that for all that comes after the services.
        var reserve: UInt64
        /// Whether other processes are stopped too, and waited for.
        var reachesOthers: Bool
    }

    /// No limit and no reserve is longer than this, some 146 years.
    static let longest = UInt64.max / 4

    /// What is still there.
    struct Remainder: Equatable {
        /// Whether a service or the main command has a process.
        var services: Bool
        /// Whether a logger has a process.
        var loggers: Bool
        /// Whether anything is left that this process waits for.
        var anything: Bool
    }

    /// What to do next.
    enum Step: Equatable {
        case killServices, terminateOthers, killOthers, terminateLoggers, killEverything, end
    }

    /// The phases, in order.
    enum Phase: UInt8, CaseIterable {
        case services, killedServices, others, loggers, everything, again, last, over
    }

    /// How far it is.
    private(set) var phase = Phase.services
    /// When it began.
    let start: UInt64
    /// When the last KILL is due.
    private(set) var end: UInt64
    private let bounds: Bounds

    /// A stop that begins at `start`.
    init(start: UInt64, _ bounds: Bounds) {
        self.start = start
        self.bounds = bounds
        end = start + min(bounds.limit, StopPlan.longest)
    }

    /// A stop that has begun before.
    init(phase: Phase, start: UInt64, end: UInt64, _ bounds: Bounds) {
        self.phase = phase
        self.start = start
        self.end = end
        self.bounds = bounds
    }

    /// When to look again though nothing has happened.
    var deadline: UInt64? {
        switch phase {
        case .services: reserve(quarters: 4)
        case .killedServices, .others: reserve(quarters: 3)
        case .loggers: reserve(quarters: 2)
        case .everything: end
        case .again: end + .milliseconds(250)
        case .last: end + .milliseconds(500)
        case .over: nil
        }
    }

    /// What the remainder found at `now` calls for, in order.
    mutating func advance(_ remainder: Remainder, at now: UInt64) -> [Step] {
        var steps: [Step] = []
        while true {
            switch move(remainder, at: now) {
            case .wait: return steps
            case .goOn: break
            case .take(let step): steps.append(step)
            }
        }
    }

    /// Somebody asks again: services are killed now, and what comes after them gets no more than its reserve. Once
    /// they are gone, everything is killed now.
    mutating func hurry(at now: UInt64) {
        let rest = phase == .services ? min(bounds.reserve, StopPlan.longest) : 0
        end = min(end, now + rest)
    }

    private func reserve(quarters: UInt64) -> UInt64 {
        let time = bounds.reserve / 4 * quarters
        return end - min(end, time)
    }

    private enum Move {
        case wait, goOn
        case take(Step)
    }

    private mutating func move(_ remainder: Remainder, at now: UInt64) -> Move {
        if phase == .over { return .wait }
        if !remainder.anything { return enter(.over, .end) }
        if phase == .services || phase == .killedServices, !remainder.services {
            return enter(.others, bounds.reachesOthers ? .terminateOthers : nil)
        }
        if phase == .others && !bounds.reachesOthers {
            // Whoever keeps a pipe open is not told to end, so a logger may wait in vain.
            end = min(end, now + bounds.reserve)
            return enter(.loggers, nil)
        }
        guard let deadline, deadline <= now else { return .wait }
        switch phase {
        case .services: return enter(.killedServices, .killServices)
        // Killed services that do not end, in an uninterruptible wait, must not hold up the rest.
        case .killedServices: return enter(.others, bounds.reachesOthers ? .terminateOthers : nil)
        case .others: return enter(.loggers, .killOthers)
        case .loggers: return enter(.everything, remainder.loggers ? .terminateLoggers : nil)
        case .everything: return enter(.again, .killEverything)
        case .again: return enter(.last, .killEverything)
        case .last: return enter(.over, .end)
        case .over: return .wait
        }
    }

    private mutating func enter(_ next: Phase, _ step: Step?) -> Move {
        phase = next
        return step.map { .take($0) } ?? .goOn
    }
}
