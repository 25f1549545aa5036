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
        if kind == .longrun { makePipeline(&random) }
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

    /// The name of a pipeline, which is no service's.
    static let pipeline: ByteString = "pipeline"

    /// Who reads what it writes, and whose output it reads; mostly the other end agrees.
    private mutating func makePipeline(_ random: inout Random) {
        if random.once(in: 4) { consumer = ServiceDefinition.names(&random, 1).first }
        if random.once(in: 2) {
            producers =
                random.once(in: 3) ? ServiceDefinition.names(&random, 1) : SimulatedFiles.names
        }
        if random.once(in: 6) { pipelineName = ServiceDefinition.pipeline }
    }

    private static func names(_ random: inout Random, _ rarity: UInt64) -> [ByteString] {
        guard random.once(in: rarity) else { return [] }
        let names = SimulatedFiles.names + ["nobody", pipeline]
        return (0..<1 + random.below(2)).map { _ in
            names[Int(random.below(random.once(in: 5) ? 6 : 4))]
        }
    }

    private static func consequence(_ random: inout Random) -> Consequence {
        guard random.once(in: 6) else { return .nothing }
        return random.once(in: 2) ? .restartDependents : .run(random.pick(SimulatedFiles.names))
    }
}

/// What is known of a service with a definition besides what its conductor says.
struct DefinedLife {
    /// What the conductor has been told that its directory asks for; nil before it was.
    var told: ServiceDefinition?
    /// The definition that its process was started for.
    var definition = ServiceDefinition.plain
    /// Which of its programs has a process, and which one is being started.
    var role = ProgramRole.run
    var nextRole = ProgramRole.run
    /// The death of `run` that `finish` is still to be told of.
    var owedFinish: ProgramRole?
    /// Whether it has said that it is ready, or has done its work.
    var isReady = false
    var hasToUndo = false
    var started: UInt64 = 0
    /// When its program, whatever it is, was started.
    var programStarted: UInt64 = 0
    /// When `run` last ended; nil after a command, which changes what is to follow.
    var died: UInt64?
    var failures: UInt32 = 0
    /// The ends that were followed by a start that nobody commanded.
    var restarts: [UInt64] = []
    /// Whether it may not be started again without a command: by its policy, or since its status says that it failed.
    var isFinal = false
    /// Whether everything has to end because of it, and how it ended, in the shell's terms.
    var mustEndAll = false
    var code: Int32?
    /// Whether its directory has `down` and nobody has asked for it yet.
    var isHeld = false
    /// Whether it is certain what is wanted of it.
    var isWishSure = true
    /// Whether it is supervised no more.
    var isClosed = false
    /// When it was told to stop.
    var stopAsked: UInt64?
    /// Whether it said something, or its definition changed, so that it may be killed for limits that are not there now.
    var isTroubled = false
    /// Whether somebody sent it a signal.
    var isExpected = false

    var asked: ServiceDefinition { told ?? .plain }

    /// Whether it may be ended by its supervisor because it is too slow.
    var mayBeCondemned: Bool {
        isTroubled || asked.watchdog != nil
            || asked.readyLimit != nil && asked.ifLate != .proceed
    }
}

/// What must hold for services with definitions.
extension World {
    func definition(at inode: Int) -> ServiceDefinition? {
        files.directories.indices.contains(inode) ? files.directories[inode]?.definition : nil
    }

    /// Whether its life is told by what its directory holds besides `run`.
    func isDefined(_ service: SupervisedService?) -> Bool {
        guard schedule.isDefined, case .main = service?.standing else { return false }
        return true
    }

    func isDefined(_ id: ServiceID) -> Bool {
        services.indices.contains(id.index) && isDefined(services[id.index])
    }

    /// Something essential that is over ends everything, with its status.
    func expectStopOfEssential() throws {
        guard stop == nil, let plan = conductor.stop else { return }
        let codes = services.compactMap { service -> Int32? in
            guard let life = service?.life, isDefined(service), life.asked.isEssential,
                service?.process == 0
            else { return nil }
            return life.code ?? 1
        }
        guard let code = conductor.essentialCode else {
            throw BrokenInvariant(description: "stops though nobody asked for it")
        }
        try require(
            schedule.isDefined && plan.start == now
                && (codes.contains(code) || code == 1 && codes.contains(0)),
            "stops with \(code) though nothing essential ended like that")
        stop = ExpectedStop(ending: .exit, end: now + schedule.limit)
        stop?.essentialCode = code
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
        try require(service.process == 0 && !service.isStarting, "starts a second process")
        let definition = launch.definition ?? .plain
        try require(definition == life.asked, "starts it for what it does not ask for")
        try checkPipeline(service, launch)
        switch launch.role {
        case .run, .prepare, .announce:
            try checkFirstProgram(service, definition, launch.role)
            if let died = life.died, launch.role == .run || !life.hasToUndo {
                try checkDelay(life, definition, since: died)
                if life.restarts.last != died { life.restarts.append(died) }
                try checkLimit(life, definition)
            }
            life.owedFinish = nil
            try require(!life.isHeld, "starts what has a `down`, and nobody wants")
            if service.wish == .down { services[index]?.wish = .up }
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
        services[index]?.life = life
        services[index]?.isStarting = true
    }

    private func checkFirstProgram(
        _ service: SupervisedService, _ definition: ServiceDefinition, _ role: ProgramRole
    ) throws {
        let life = service.life
        try require(life.owedFinish == nil, "starts before `finish`")
        try require(!life.isFinal, "starts again what is not to be")
        try require(!service.mustLeave, "starts what is to be supervised no more")
        try require(stop == nil, "starts a service during the stop")
        try require(!service.wasToldDown, "starts what is to be down")
        try require(
            role != .run || now >= life.started + min(definition.delay, life.definition.delay)
                || life.started == 0 || life.hasToUndo,
            "starts sooner than it may")
        for case .some(let other) in services where other.process != 0 || other.isStarting {
            try require(
                other.serial != service.serial || other.isLogger,
                "starts a second instance of a service")
            if let time = other.superseded {
                try require(
                    other.lastName != service.name || service.opened < time,
                    "starts the new service beside the old")
            }
        }
        try checkOrderOfStart(service)
    }

    /// The delay after failures doubles up to its ceiling, as long as nobody gives a command.
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

    /// No window can see more than the restarts of two that follow one another.
    private func checkLimit(_ life: DefinedLife, _ definition: ServiceDefinition) throws {
        guard let limit = definition.restartLimit, definition == life.definition,
            let last = life.restarts.last
        else { return }
        let recent = life.restarts.filter { $0 + definition.limitWindow >= last }
        try require(recent.count <= 2 * Int(limit), "starts again too often")
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
            if case .redefined(_, let definition) = event { redefine(id.index, definition) }
            guard let role = services[id.index]?.life.nextRole else { break }
            if case .finish = role { services[id.index]?.life.owedFinish = role }
            if role == .stop || role == .undo { services[id.index]?.life.hasToUndo = true }
        case .ready(let id):
            if services[id.index]?.process != 0, services[id.index]?.life.role == .run,
                services[id.index]?.life.asked.kind != .oneshot
            {
                services[id.index]?.life.isReady = true
            }
        case .said(let id, .troubled): services[id.index]?.life.isTroubled = true
        case .said(let id, .watchdogPeriod(let period)):
            services[id.index]?.life.isTroubled = true
            services[id.index]?.life.told?.watchdog = period
        case .said(let id, .reloading), .said(let id, .stopping):
            if services[id.index]?.process != 0, services[id.index]?.life.role == .run {
                services[id.index]?.life.isReady = false
            }
        case .defined(let id, let definition): redefine(id.index, definition)
        case .opened(let id, let isDown, let definition):
            let isHeld = isDown || definition?.kind == .bundle
            services[id.index]?.life.told = definition ?? .plain
            services[id.index]?.life.isHeld = isHeld
            services[id.index]?.wish = isHeld ? .down : .up
        case .notOpened: break
        default: return false
        }
        return true
    }

    private func redefine(_ index: Int, _ definition: ServiceDefinition?) {
        guard services[index]?.life.told != definition ?? .plain else { return }
        services[index]?.life.told = definition ?? .plain
        services[index]?.life.isTroubled = true
        services[index]?.life.died = nil
        services[index]?.life.restarts = []
        // What follows an end is decided after `finish`, by what it asks for then.
        if services[index]?.status?.details?.state == .failed { return }
        services[index]?.life.isFinal = false
        services[index]?.life.mustEndAll = false
    }

    func expectDefinedCommand(_ index: Int, _ command: Command) {
        guard let service = services[index] else { return }
        if service.life.asked.kind == .bundle && command != .exit {
            // It is a name for what is in it.
            for member in members(of: service) { expectOwnCommand(member, command) }
        } else {
            expectOwnCommand(index, command)
        }
        guard command == .up || command == .once else { return }
        for other in broughtUp(with: service) where other != index {
            // One that can never start brings up nothing, and the one before may have been down or not.
            wake(other, .up)
            services[other]?.life.isWishSure = false
        }
    }

    /// What somebody, or something, asks for is not down any more.
    func wake(_ index: Int, _ wish: SupervisedService.Wish) {
        services[index]?.wish = wish
        services[index]?.wasToldDown = false
        services[index]?.life.isHeld = false
        services[index]?.life.isWishSure = true
        services[index]?.life.isFinal = false
        services[index]?.life.died = nil
        services[index]?.life.failures = 0
    }

    private func expectOwnCommand(_ index: Int, _ command: Command) {
        guard var service = services[index] else { return }
        switch command {
        case .up, .once: return wake(index, command == .up ? .up : .none)
        case .down:
            service.wish = .down
            service.wasToldDown = true
            service.life.stopAsked = now
            service.life.died = nil
            if service.process == 0 { service.life.isReady = false }
        case .exit:
            service.mustLeave = true
        case .restart:
            if service.process == 0 || service.life.role != .run { return }
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
        if service.life.role == .prepare { service.life.stopAsked = nil }
        if service.life.role == .run {
            service.life.started = now
            service.life.stopAsked = nil
            service.life.isTroubled = false
            service.life.isExpected = false
            let definition = service.life.asked
            service.life.isReady = definition.kind == .longrun && definition.readiness == .start
            if definition.kind == .longrun { service.life.hasToUndo = true }
        }
        services[index] = service
    }
}
