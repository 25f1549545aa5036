import Bytes
import Formats

@testable import Services

/// Random definitions, and what they call for.
extension ServiceDefinition {
    init(_ random: inout Random) {
        self.init()
        if random.once(in: 8) { kind = random.pick([.oneshot, .oneshot, .bundle]) }
        if random.once(in: 3) { programs.insert(.finish) }
        if random.once(in: 8) { programs.insert(random.pick([.start, .stop])) }
        if kind == .oneshot { programs.insert(random.pick([.down, .up])) }
        dialect = random.pick(Dialect.allCases)
        needs = ServiceDefinition.names(&random, 3)
        wants = ServiceDefinition.names(&random, 6)
        after = ServiceDefinition.names(&random, 5)
        before = ServiceDefinition.names(&random, 8)
        if kind == .bundle { contents = ServiceDefinition.names(&random, 1) }
        readiness = random.pick([
            .start, .start, .notify, .descriptor(3), .command("./check"), .tcp("127.0.0.1:1"),
        ])
        if random.once(in: 3) { readyLimit = random.pick([0, 100_000_000, 3_000_000_000]) }
        ifLate = random.pick(LateConsequence.allCases)
        if random.once(in: 8) { watchdog = random.pick([500_000_000, 4_000_000_000]) }
        restart = random.pick([.always, .always, .onFailure, .never])
        delay = random.pick([0, 1_000_000_000, 1_000_000_000, 300_000_000])
        longestDelay = random.pick([delay, delay, delay * 16, delay * 5])
        if random.once(in: 6) {
            restartLimit = UInt32(random.below(4))
            limitWindow = random.pick([1_000_000_000, 60_000_000_000])
        }
        if random.once(in: 4) { successes = [random.pick([.code(1), .signal(11)])] }
        if random.once(in: 6) { finals = [random.pick([.code(0), .code(1), .signal(9)])] }
        onEnd = ServiceDefinition.consequence(&random)
        onFailure = ServiceDefinition.consequence(&random)
        isEssential = random.once(in: 20)
        stopSignal = random.pick([15, 15, 2, 3])
        if random.once(in: 3) { stopLimit = random.pick([0, 200_000_000, 2_000_000_000]) }
        stopReach = random.pick([.process, .process, .group, .everything])
        killsGroup = random.once(in: 4)
        if random.once(in: 3) { finishLimit = random.pick([0, 500_000_000]) }
        if random.once(in: 3) { upLimit = random.pick([100_000_000, 1_000_000_000]) }
        if random.once(in: 3) { downLimit = random.pick([0, 500_000_000]) }
    }

    private static func names(_ random: inout Random, _ rarity: UInt64) -> [ByteString] {
        guard random.once(in: rarity) else { return [] }
        let names = SimulatedFiles.names + ["nobody"]
        return (0..<1 + random.below(2)).map { _ in
            names[Int(random.below(random.once(in: 5) ? 5 : 4))]
        }
    }

    private static func consequence(_ random: inout Random) -> Consequence {
        guard random.once(in: 6) else { return .nothing }
        return random.once(in: 2) ? .restartDependents : .run(random.pick(SimulatedFiles.names))
    }
}

/// What is known of a service with a definition besides what its conductor says.
struct DefinedLife {
    /// The definition of the process that is there, or was last.
    var definition = ServiceDefinition.plain
    /// Which of its programs has a process.
    var role = ProgramRole.run
    /// The death of `run` that `finish` is still to be told of.
    var owedFinish: ProgramRole?
    /// Whether it has said that it is ready, or has done its work.
    var isReady = false
    var hasToUndo = false
    var started: UInt64 = 0
    /// When `run` last ended, and how; nil after a command, which changes what is to follow.
    var died: UInt64?
    var failures: UInt32 = 0
    /// Whether it may not be started again without a command.
    var isFinal = false
    /// Whether everything has to end because of it.
    var mustEndAll = false
    /// When it was told to stop.
    var stopAsked: UInt64?
    /// Since when its program, whatever it is, is there.
    var programStarted: UInt64 = 0
    var restarts: [UInt64] = []
    /// Whether it said something, or its definition changed, so that it may be killed for limits that are not there now.
    var isTroubled = false
    /// Whether the start that has been asked for is one that nobody commanded.
    var isRestart = false
    /// Whether somebody sent it a signal.
    var isExpected = false
    /// What is being started.
    var nextRole = ProgramRole.run
}

/// What must hold for services with definitions.
extension World {
    func definition(at inode: Int) -> ServiceDefinition? {
        files.directories.indices.contains(inode) ? files.directories[inode]?.definition : nil
    }

    /// The service that a name leads to.
    func definedService(named name: ByteString) -> SupervisedService? {
        if let id = conductor.order.ids[name] { return services[id.index] }
        return services.first { service in
            guard let service, case .main(let pair) = service.standing else { return false }
            return conductor.pairs[pair.index]?.path == name
        } ?? nil
    }

    /// Whether its life is told by what its directory holds besides `run`.
    func isDefined(_ service: SupervisedService?) -> Bool {
        guard schedule.isDefined, case .main = service?.standing else { return false }
        return true
    }

    func isDefined(_ id: ServiceID) -> Bool {
        services.indices.contains(id.index) && isDefined(services[id.index])
    }

    /// Something essential may end everything.
    func expectStopOfEssential() throws {
        guard stop == nil, let plan = conductor.stop else { return }
        try require(
            schedule.isDefined && plan.start == now
                && conductor.essentialCode != nil,
            "stops though nobody asked for it")
        stop = ExpectedStop(ending: .exit, end: now + schedule.limit)
        for index in services.indices where services[index]?.standing == .command {
            if services[index]?.process == 0 {
                services[index] = nil
                commandCode = 128 + 15
            } else if let pid = services[index]?.process {
                expectedSignals += [.init(pid: pid, signal: 15), .init(pid: pid, signal: 18)]
            }
        }
    }

    // MARK: - Starting

    func checkDefinedStart(_ index: Int, _ launch: Launch) throws {
        guard let service = services[index] else { return }
        var life = service.life
        try require(service.process == 0, "starts a second process")
        let definition = launch.definition ?? .plain
        switch launch.role {
        case .run, .prepare, .announce:
            try checkFirstProgram(service, definition, launch.role)
            if let died = life.died, launch.role == .run || !life.hasToUndo {
                try checkDelay(life, definition, since: died)
                life.isRestart = true
                try checkLimit(life, definition)
            }
            life.owedFinish = nil
        case .finish:
            try require(launch.role == life.owedFinish, "a `finish` that nobody asked for")
            life.owedFinish = nil
        case .stop, .undo:
            try require(life.hasToUndo, "undoes what was not done")
            try require(life.owedFinish == nil, "undoes before `finish`")
            life.hasToUndo = false
            life.isReady = false
        }
        life.definition = definition
        life.isFinal = false
        services[index]?.wasToldDown = false
        services[index]?.life = life
        services[index]?.isStarting = true
    }

    private func checkFirstProgram(
        _ service: SupervisedService, _ definition: ServiceDefinition, _ role: ProgramRole
    ) throws {
        try require(service.life.owedFinish == nil, "starts before `finish`")
        try require(!service.life.isFinal || isWantedByOthers, "starts again what is not to be")
        try require(!service.mustLeave, "starts what is to be supervised no more")
        try require(stop == nil || service.isLogger, "starts a service during the stop")
        if service.wasToldDown && !isWantedByOthers {
            throw BrokenInvariant(description: "starts what is to be down")
        }
        try require(
            role != .run
                || now >= service.life.started
                    + min(definition.delay, service.life.definition.delay)
                || service.life.started == 0 || service.life.hasToUndo,
            "starts sooner than it may")
        if case .main = service.standing { try checkNeeds(definition) }
    }

    /// Whether a command to another, or another's end, may be the reason.
    private var isWantedByOthers: Bool {
        lastCommand == .up || lastCommand == .once || hasHooks
    }

    var hasHooks: Bool {
        if hadHooks { return true }
        hadHooks = conductor.definitions.values.contains { definition in
            [definition.onEnd, definition.onFailure].contains {
                if case .run = $0 { true } else { false }
            }
        }
        return hadHooks
    }

    /// Nothing starts before what it needs is ready.
    private func checkNeeds(_ definition: ServiceDefinition) throws {
        for name in definition.needs {
            guard let needed = definedService(named: name) else {
                throw BrokenInvariant(description: "starts though what it needs is not there")
            }
            let kind = self.definition(at: needed.inode)?.kind ?? .longrun
            if kind == .bundle { continue }
            let mayBeLate =
                needed.life.definition.ifLate == .proceed
                && needed.life.definition.readyLimit != nil
            try require(needed.life.isReady || mayBeLate, "starts before what it needs is ready")
        }
    }

    /// The delay after failures grows, as long as nobody gives a command.
    private func checkDelay(
        _ life: DefinedLife, _ definition: ServiceDefinition, since died: UInt64
    ) throws {
        guard life.failures > 0, definition == life.definition,
            definition.longestDelay > definition.delay
        else { return }
        var delay = max(1, definition.delay)
        for _ in 1..<max(2, min(life.failures, 40)) where life.failures > 1 {
            delay = min(delay * 2, definition.longestDelay)
        }
        try require(now >= died + delay, "starts again sooner than after its last failures")
    }

    private func checkLimit(_ life: DefinedLife, _ definition: ServiceDefinition) throws {
        guard let limit = definition.restartLimit, definition == life.definition else { return }
        let recent = life.restarts.filter { $0 + definition.limitWindow >= now }
        try require(recent.count <= 2 * Int(limit) + 1, "starts again too often")
    }

    // MARK: - Events

    /// Returns whether that is all there is to expect.
    func expectDefined(_ event: Event) -> Bool {
        switch event {
        case .commanded(let id, _) where !isDefined(id): return false
        case .started(let id, _) where !isDefined(id): return false
        case .refused(let id, _) where !isDefined(id): return false
        case .congested(let id) where !isDefined(id): return false
        case .displaced(let id) where !isDefined(id): return false
        case .opened(let id, _, _) where !isDefined(id): return false
        case .commanded(let id, let command): expectDefinedCommand(id.index, command)
        case .started(let id, let pid): expectDefinedStart(id.index, pid)
        case .refused(let id, _):
            services[id.index]?.isStarting = false
            services[id.index]?.life.owedFinish = nil
        case .congested(let id), .displaced(let id), .loggerAppeared(let id), .redefined(let id, _):
            services[id.index]?.isStarting = false
            if case .redefined = event {
                services[id.index]?.life.died = nil
                services[id.index]?.life.restarts = []
            }
            guard let role = services[id.index]?.life.nextRole else { break }
            if case .finish = role { services[id.index]?.life.owedFinish = role }
            if role == .stop || role == .undo { services[id.index]?.life.hasToUndo = true }
        case .ready(let id):
            if services[id.index]?.process != 0, services[id.index]?.life.role == .run,
                services[id.index]?.life.definition.kind == .longrun
            {
                services[id.index]?.life.isReady = true
            }
        case .said(let id, .troubled), .said(let id, .watchdogPeriod):
            services[id.index]?.life.isTroubled = true
        case .said(let id, .reloading), .said(let id, .stopping):
            if services[id.index]?.process != 0 { services[id.index]?.life.isReady = false }
        case .defined(let id, let definition):
            services[id.index]?.life.definition = definition ?? .plain
            services[id.index]?.life.isTroubled = true
            services[id.index]?.life.died = nil
            services[id.index]?.life.restarts = []
        case .opened, .notOpened: break
        default: return false
        }
        return true
    }

    func expectDefinedCommand(_ index: Int, _ command: Command) {
        guard var service = services[index] else { return }
        switch command {
        case .up, .once:
            service.wish = command == .up ? .up : .none
            service.wasToldDown = false
            service.life.isFinal = false
            service.life.died = nil
            service.life.failures = 0
        case .down:
            service.wish = .down
            service.wasToldDown = true
            service.life.stopAsked = now
            service.life.died = nil
            if service.process == 0 { service.life.isReady = false }
        case .exit:
            service.mustLeave = true
        case .restart:
            service.life.stopAsked = now
            service.life.isExpected = true
        case .pause, .continue, .reload: break
        default: service.life.isExpected = true
        }
        services[index] = service
    }

    private func expectDefinedStart(_ index: Int, _ pid: Int32) {
        guard var service = services[index] else { return }
        service.process = pid
        service.isStarting = false
        service.isPaused = false
        service.life.role = service.life.nextRole
        service.life.programStarted = now
        if service.life.role == .run {
            service.life.started = now
            if service.life.isRestart { service.life.restarts.append(now) }
            service.life.isRestart = false
            service.life.stopAsked = nil
            service.life.isTroubled = false
            service.life.isExpected = false
            let definition = service.life.definition
            service.life.isReady = definition.kind == .longrun && definition.readiness == .start
            if definition.kind == .longrun { service.life.hasToUndo = true }
        }
        services[index] = service
    }

    func expectDefinedDeath(_ index: Int, _ pid: Int32, _ death: Death) {
        guard var service = services[index] else { return }
        let life = service.life
        service.process = 0
        service.isPaused = false
        service.life.isReady = false
        let definition = life.definition
        if life.role == .prepare && death.status == 0 && death.startError == 0 {
            service.life.hasToUndo = true
        }
        guard life.role == .run else {
            services[index] = service
            return
        }
        let isSuccess =
            death.startError == 0
            && (death.status == 0 || definition.successes.contains(death.ending)
                || life.isExpected && [definition.stopSignal, 1, 2, 15].contains(death.signal))
        let isDone =
            death.startError == 0
            && (death.status == 0 || definition.successes.contains(death.ending))
        if definition.kind == .oneshot && isDone {
            service.life.isReady = true
            service.life.hasToUndo = true
        }
        if definition.kind == .longrun && definition.programs.contains(.finish) {
            service.life.owedFinish = .finish(death, pid: pid)
        }
        // It was told to end, so that its end is no reason for anything.
        if life.stopAsked != nil || conductor.services[index]?.machine.wish != .up {
            service.life.died = nil
            services[index] = service
            return
        }
        let lived = now - life.started
        let hasRecovered = lived > max(10_000_000_000, definition.longestDelay)
        service.life.failures = isSuccess ? 0 : hasRecovered ? 1 : life.failures + 1
        service.life.died = now
        if definition.restart == .never && definition.kind == .longrun {
            service.life.isFinal = true
        }
        if definition.restart == .never, definition.isEssential, definition.kind == .longrun,
            service.wish == .up, !service.mustLeave
        {
            service.life.mustEndAll = true
        }
        services[index] = service
    }

    // MARK: - Signals

    /// A signal to a service with a definition, which no command of this turn explains by itself.
    func checkDefinedSignal(_ pid: Int32, _ signal: Int32) throws {
        guard let service = services.first(where: { $0?.process == pid }) ?? nil else {
            throw BrokenInvariant(description: "sends \(signal) to \(pid), which is no service")
        }
        if signal == 9, !isLateInStop, !service.isLogger { try checkKill(service) }
        if signal == service.life.definition.stopSignal, stop != nil, !isLateInStop {
            try checkOrderOfStop(service)
        }
        if stop != nil, signal == 9, !service.isLogger, isLateInStop { hasKilled = true }
    }

    private var isLateInStop: Bool {
        guard let stop else { return false }
        return now >= stop.end - min(stop.end, schedule.reserve)
    }

    /// KILL comes by command, or when a limit has passed.
    private func checkKill(_ service: SupervisedService) throws {
        if lastCommand == .kill { return }
        let life = service.life
        let definition = life.definition
        let limits = [
            definition.stopLimit, definition.finishLimit, definition.upLimit, definition.downLimit,
        ]
        let shortest = limits.compactMap { $0 }.min()
        let isWatched =
            life.isTroubled || conductor.definitions.values.contains { $0.watchdog != nil }
        try require(
            shortest != nil && now >= life.programStarted + (shortest ?? 0) || isWatched,
            "kills without a limit that has passed")
    }

    /// The graph's stop is the reverse of its start.
    private func checkOrderOfStop(_ service: SupervisedService) throws {
        guard case .main(let pair) = service.standing, let name = conductor.pairs[pair.index]?.path,
            conductor.pairs[pair.index]?.isPresent == true
        else { return }
        for case .some(let other) in services where other.process != 0 && other.life.role == .run {
            guard case .main(let otherPair) = other.standing, otherPair != pair,
                // Services that wait for one another in a circle end in no order.
                let otherName = conductor.pairs[otherPair.index]?.path,
                let graph = conductor.order.graph, !graph.isBroken(name), !graph.isBroken(otherName),
                let id = conductor.pairs[otherPair.index]?.service,
                conductor.definitions[id]?.needs.contains(name) == true
            else { continue }
            try require(
                service.wasToldDown || service.life.stopAsked != nil || service.superseded != nil,
                "ends a service before one that needs it")
        }
    }

    /// One that was not ready in time may be taken as ready.
    func noteReadiness(_ id: ServiceID, _ record: StatusRecord) {
        if isDefined(id), record.details?.isReady == true,
            services[id.index]?.life.definition.ifLate == .proceed
        {
            services[id.index]?.life.isReady = true
        }
    }

    // MARK: - At rest

    func checkDefinedRest(_ service: SupervisedService) throws {
        guard let status = service.status else { return }
        try require(status.pid == UInt32(service.process), "the status file lies about the process")
        let isBundle =
            definition(at: service.inode)?.kind == .bundle
            || conductor.definitions.values.contains { $0.kind == .bundle }
        if let details = status.details, !isBundle {
            try require(
                details.isReady == service.life.isReady
                    || service.life.definition.ifLate == .proceed,
                "the status file lies about readiness: \(status) of \(service)")
        }
        try require(
            !service.life.mustEndAll || service.life.owedFinish != nil || stop != nil
                || service.process != 0
                || service.wish != .up || service.mustLeave,
            "something essential has ended, and all goes on")
    }
}
