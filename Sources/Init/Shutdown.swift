import Bytes
import Linux

/// The orderly stop, as a pure sequence of phases. Each phase ends as soon as what it waits for is
/// gone; its share of the one limit is only the bound after which force is used:
///
///     services     TERM and CONT, as `svc -dx`; KILL after half of the limit
///     strays       TERM and CONT to every other process but the loggers, which end by themselves
///                  at the end of their input; KILL after three quarters
///     loggers      TERM after seven eighths to those whose input has not ended
///     everything   KILL at the limit, again every quarter of a second
///
/// The whole is over when the last child has been reaped, or two KILLs have had no effect.
struct Shutdown {
    /// What is still there.
    struct State: Equatable {
        /// Services, loggers not counted, and the main command.
        var services: Int
        /// Loggers.
        var loggers: Int
        /// Whether any process is left that this one will reap.
        var hasChildren: Bool
    }

    /// What to do next.
    enum Action: Equatable {
        case killServices
        case terminateStrays
        case killStrays
        case terminateLoggers
        case killEverything
        case end
    }

    private enum Phase: Int {
        case services, strays, loggers, everything, over
    }

    private let start: Instant
    private let limit: UInt64
    private var phase = Phase.services
    private var servicesKilled = false
    private var strays = Force.none
    private var finalKills: UInt64 = 0

    private enum Force {
        case none, terminated, killed
    }

    /// A stop that began at `start` and uses force so that it is over within `limit` milliseconds.
    init(start: Instant, limit: UInt64) {
        self.start = start
        self.limit = limit
    }

    /// When to look again though nothing has happened.
    var deadline: Instant? {
        switch phase {
        case .services: servicesKilled ? at(eighths: 6) : at(eighths: 4)
        case .strays: at(eighths: 6)
        case .loggers: at(eighths: 7)
        case .everything: start.advanced(milliseconds: limit + finalKills * 250)
        case .over: nil
        }
    }

    /// What the state found at `now` calls for, in order.
    mutating func next(_ state: State, at now: Instant) -> [Action] {
        var actions: [Action] = []
        while let action = step(state, at: now) {
            actions.append(action)
            if action == .end { break }
        }
        return actions
    }

    /// The user wants it over: as if the limit had passed.
    mutating func hurry(at now: Instant) {
        if phase.rawValue < Phase.everything.rawValue {
            self = Shutdown(start: now, limit: 0)
            servicesKilled = true
            strays = .killed
            phase = .everything
        }
    }

    private func at(eighths: UInt64) -> Instant {
        start.advanced(milliseconds: limit * eighths / 8)
    }

    private mutating func step(_ state: State, at now: Instant) -> Action? {
        if phase != .over && !state.hasChildren {
            phase = .over
            return .end
        }
        switch phase {
        case .services: return stepServices(state, at: now)
        case .strays:
            guard now >= at(eighths: 6) else { return nil }
            phase = .loggers
            strays = .killed
            return .killStrays
        case .loggers:
            guard now >= at(eighths: 7) else { return nil }
            phase = .everything
            return state.loggers > 0 ? .terminateLoggers : nil
        case .everything: return stepEverything(at: now)
        case .over: return nil
        }
    }

    private mutating func stepServices(_ state: State, at now: Instant) -> Action? {
        // Killed services that do not end, in an uninterruptible wait, must not hold up the rest.
        if state.services == 0 || (servicesKilled && now >= at(eighths: 6)) {
            phase = .strays
            return .terminateStrays
        }
        guard !servicesKilled, now >= at(eighths: 4) else { return nil }
        servicesKilled = true
        return .killServices
    }

    private mutating func stepEverything(at now: Instant) -> Action? {
        guard let deadline, now >= deadline else { return nil }
        if finalKills == 2 {
            phase = .over
            return .end
        }
        finalKills += 1
        return .killEverything
    }
}
