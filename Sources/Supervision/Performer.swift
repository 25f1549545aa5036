import Bytes
import Commands
import Formats
import Linux
import ServiceFiles
import Services

/// Does what the conductor says, and tells what came of it. It decides nothing: all it has is what belongs to
/// services in the kernel, by the numbers that the conductor gave them.
final class Performer {
    let configuration: Supervisor.Configuration
    let messages: Messages
    let starters: Starters
    private let states: StatePlaces
    private var hasSaidUncontrolled = false
    /// The scan directory.
    let scan: ScanDirectory?
    var services: [OpenService?] = []
    var pipes: [LogPipe?] = []
    let pipelines = Pipelines()
    /// Where what is held is written down.
    var carryover: Carryover?
    /// The process of the main command that another image of this process started, until it is taken over.
    var formerCommand: ProcessID = 0
    /// Finds out whether services are ready that do not tell it themselves.
    let prober: ReadinessProber
    /// Who has the lines of services without a logger, if anybody.
    let output: OutputLogger?
    /// Whether services get the variables that this process was started with.
    let isInherited: Bool
    /// Descriptors from this number on are kept free for the supervisor's own work.
    private let descriptorReserve: Int32

    /// `descriptorLimit` is what the soft limit of this process was before it was raised to the hard one.
    init(
        _ configuration: Supervisor.Configuration, messages: Messages,
        descriptorLimit: (soft: UInt64, hard: UInt64)
    ) throws(SystemError) {
        self.configuration = configuration
        self.messages = messages
        let states = StatePlaces(ofSupervisorWith: configuration.environment)
        self.states = states
        scan = configuration.scanDirectory.map { ScanDirectory($0, states, messages) }
        starters = try Starters(configuration, messages, descriptorLimit)
        prober = ReadinessProber(starters, configuration.environment)
        var inherited = Environment.inherited
        inherited.unset(CarriedTable.variable)
        isInherited = inherited == configuration.environment
        let room = Int32(clamping: descriptorLimit.hard)
        descriptorReserve = room - min(32, room / 8)
        output = OutputLogger(
            configuration, starters, messages, descriptorLimit: descriptorReserve)
    }

    /// Performs an action; returns its outcome, if it is one that has one.
    func perform(_ action: Action) -> Event? {
        switch action {
        case .list:
            let outcome = list()
            if scan?.isControlUnwatched == true, let fact = scan?.fact { carryover?.write(fact) }
            return outcome
        case .inspect(let pair, let name, let identity): return inspect(pair, name, identity)
        case .examine(let pair, let name, let identity): return examine(pair, name, identity)
        case .makePipe(let pair): return makePipe(pair)
        case .closeWriter(let pair):
            record(pair, withoutWriter: true)
            pipe(pair)?.closeWriter()
        case .closeReader(let pair):
            record(pair, withoutReader: true)
            pipe(pair)?.closeReader()
        case .open(let id, let place, let name): return open(id, place, name)
        case .close(let id):
            prober.end(id)
            carryover?.write(.closed(id))
            services[id.index] = nil
            pipelines.leave(id)
        case .start(let id, let standing, let launch, let checks):
            return start(id, standing, launch, checks: checks)
        case .accompany(let id, let standing, let companion, let definition):
            return .accompanied(id, accompany(id, standing, companion, definition))
        case .define(let id): return .defined(id, define(id))
        case .probe(let id, let pid, let readiness):
            prober.begin(id, pid, readiness, directory: service(id)?.directoryNumber ?? -1)
        case .signal(let pid, let signal, let reach): send(signal, to: pid, reach)
        case .killRest(let id, let pid, let reach): killRest(id, pid, reach)
        case .writeStatus(let id, let status):
            guard let service = service(id) else { break }
            let wasAnnounced = service.isAnnounced
            service.write(status, asRunit: configuration.writesFilesOfRunit, messages)
            if service.isAnnounced != wasAnnounced { carryover?.write(service.fact(id)) }
        case .signalOthers(let signals, let spared):
            signalOthers(signals, sparing: spared + (output?.spared(from: signals) ?? []))
        case .say(let remark): say(remark)
        case .closeHeld(let id):
            service(id)?.extras?.held.closeAll()
            recordExtras(of: id)
        // These are the supervisor's.
        case .expectChildren, .awaitConnection, .end: break
        }
        return nil
    }

    /// The open service at a place.
    func service(_ id: ServiceID) -> OpenService? {
        services.indices.contains(id.index) ? services[id.index] : nil
    }

    func pipe(_ pair: PairID) -> LogPipe? {
        pipes.indices.contains(pair.index) ? pipes[pair.index] : nil
    }

    /// Why a child that has ended never became its program, as errno; 0 when it did. To be asked of every child.
    func startError(of pid: ProcessID) -> Int32 { starters.failure(of: pid)?.code ?? 0 }

    // MARK: - The scan directory

    private func list() -> Event {
        guard let scan else { return .notListed(Complaint("there is no service directory")) }
        do throws(Failure) { return .listed(try scan.list()) } catch {
            return .notListed(Complaint(error))
        }
    }

    private func inspect(_ pair: PairID, _ name: ByteString, _ identity: FileID) -> Event {
        do throws(SystemError) {
            guard let place = try openEntry(name, identity) else { return .notExamined(pair, nil) }
            let look = try ServiceLook(at: place)
            return .inspected(pair, signature: look.signature, hasRun: look.hasRun)
        } catch {
            return notExamined(pair, "unable to look at \(name)", error)
        }
    }

    private func examine(_ pair: PairID, _ name: ByteString, _ identity: FileID) -> Event {
        var step: ByteString = "unable to switch to \(name)"
        do throws(SystemError) {
            guard let place = try openEntry(name, identity) else { return .notExamined(pair, nil) }
            step = "unable to stat \(name)/log"
            return .examined(pair, log: try Performer.log(in: place))
        } catch {
            return notExamined(pair, step, error)
        }
    }

    /// In which directory the logger of an open entry runs, `log` or, where that is a program, the entry itself; nil when
    /// there is none.
    private static func log(in place: borrowing Descriptor) throws(SystemError) -> FileID? {
        do throws(SystemError) {
            let log = try status(of: "log", in: Directory(place))
            return FileID(log.isProgram ? try status(of: place.number).identity : log.identity)
        } catch {
            if error.errno == .noEntry { return nil }
            throw error
        }
    }

    private func notExamined(_ pair: PairID, _ text: ByteString, _ error: SystemError) -> Event {
        .notExamined(pair, error.errno == .noEntry ? nil : Complaint(text, error))
    }

    /// Opens an entry of the scan directory; nil when its name leads to another directory by now.
    private func openEntry(_ name: ByteString, _ identity: FileID) throws(SystemError)
        -> Descriptor?
    {
        guard let scan else { return nil }
        let place = try openFile(scan.path(of: name), .place)
        guard FileID(try status(of: place.number).identity) == identity else { return nil }
        return place
    }

    // MARK: - Services

    private func makePipe(_ pair: PairID) -> Event {
        while pipes.count <= pair.index { pipes.append(nil) }
        do throws(SystemError) {
            let pipe = try LogPipe()
            if !hasRoom(for: max(pipe.writerNumber ?? 0, pipe.readerNumber ?? 0)) {
                throw SystemError("pipe2", .tooManyDescriptors)
            }
            pipes[pair.index] = pipe
            record(pair)
            return .piped(pair)
        } catch {
            return .notPiped(pair, Complaint("unable to create pipe", error))
        }
    }

    private func open(_ id: ServiceID, _ place: Place, _ name: ByteString) -> Event {
        do throws(Failure) {
            let directory = try openPlace(place, name)
            // Else much would be done for nothing.
            try checkRoom(directory.number, name)
            let isDown = try ServiceDirectory.isDown(directory, name: name)
            let isSingle = if case .path = place { true } else { false }
            let isLogFile = place.isLogFile(in: directory)
            let opened = try ServiceDirectory(
                directory, name: name, states: states, fallback: isSingle ? .none : .uncontrolled,
                part: isLogFile ? .logger : .service)
            try checkRoom(opened.highestNumber, name)
            let service = OpenService(
                name: name, place: place, directory: opened, isLogFile: isLogFile)
            if service.control == nil { sayUncontrolled(name) }
            service.findPredecessor()
            while services.count <= id.index { services.append(nil) }
            services[id.index] = service
            let definition = define(id)
            carryover?.write(service.fact(id))
            if let found = service.predecessor { carryover?.write(.predecessor(id, found)) }
            return .opened(id, isDown: isDown && service.isDownFile, definition)
        } catch {
            return .notOpened(id, Complaint(error))
        }
    }

    /// Once, as it is the same for all services.
    private func sayUncontrolled(_ name: ByteString) {
        if hasSaidUncontrolled { return }
        hasSaidUncontrolled = true
        let places = ByteString(states.candidates, joinedBy: ", ")
        messages.warning(
            "running \(name) and others without supervise/control and supervise/status: unable to write to its directory, \(places)"
        )
    }

    /// Whether a descriptor of that number leaves the supervisor enough.
    func hasRoom(for number: Int32) -> Bool { number < descriptorReserve }

    /// Throws where it does not. Each service opens its `supervise/ok` only once it has a status.
    private func checkRoom(_ number: Int32, _ name: ByteString) throws(Failure) {
        if hasRoom(for: number + Int32(clamping: services.count)) { return }
        let awaited = services.count { $0.map { $0.control != nil && !$0.isAnnounced } ?? false }
        if hasRoom(for: number + Int32(clamping: awaited)) { return }
        throw Failure("unable to start \(name): running too many services", .tooManyDescriptors)
    }

    private func openPlace(_ place: Place, _ name: ByteString) throws(Failure) -> Descriptor {
        do throws(SystemError) {
            switch place {
            case .path(let path): return try openFile(path, .place)
            case .entry(let entry, let identity):
                if let place = try openEntry(entry, identity) { return place }
            case .logger(let entry, let identity):
                if let place = try openEntry(entry, identity) {
                    if try Performer.log(in: place) == identity { return place }
                    return try openFile("log", .place, in: Directory(place))
                }
            }
        } catch {
            throw error.explained("unable to chdir to \(name)")
        }
        throw Failure("unable to chdir to \(name): it is another directory by now")
    }

    private func start(
        _ id: ServiceID, _ standing: Standing, _ launch: Launch, checks: Bool
    ) -> Event {
        if launch.role == .run, let adopted = adopt(id, standing, launch.pipeline) {
            return adopted
        }
        if checks, [.run, .prepare, .announce].contains(launch.role),
            let obstacle = obstacle(id, standing, launch)
        {
            return obstacle
        }
        var special: PreparedProgram?
        var setup = setup(id, standing, launch)
        do throws(SystemError) { try join(id, launch.pipeline, &setup) } catch {
            return .notPrepared(id, Complaint("unable to create pipe", error))
        }
        if service(id)?.isLogFile == true {
            special = starters.logFile
        } else if !launch.isPlain || service(id)?.extras != nil, let service = service(id) {
            do throws(Failure) {
                special = try service.prepare(launch, configuration.environment, &setup)
                recordExtras(of: id)
            } catch { return .notPrepared(id, Complaint(error)) }
        }
        defer { service(id)?.extras?.notification.closeWriter() }
        do throws(SystemError) {
            let started =
                if let special {
                    try starters.start(special, setup)
                } else {
                    try starters.start(standing, setup)
                }
            guard let pid = started else { return .congested(id) }
            service(id)?.process = pid
            if standing == .command { carryover?.note(command: pid) }
            return .started(id, pid: pid)
        } catch {
            return .refused(id, errno: error.errno.code)
        }
    }

    /// Starts a program beside a service, with the same input and output.
    private func accompany(
        _ id: ServiceID, _ standing: Standing, _ companion: Companion,
        _ definition: ServiceDefinition
    ) -> CompanionOutcome {
        guard let service = service(id), service.hasProgram(companion.file) else { return .absent }
        do throws(SystemError) {
            let program = PreparedProgram(companion.invocation(configuration.environment))
            let setup = setup(id, standing, Launch(.run, definition))
            guard let pid = try starters.start(program, setup) else { return .congested }
            return .started(pid: pid)
        } catch {
            messages.warning("unable to run \(service.name)/\(companion.file)", error.errno)
            return .absent
        }
    }

    /// What has to be looked at before a service is started again: its name may lead elsewhere, its directory have a
    /// `log` now.
    private func obstacle(_ id: ServiceID, _ standing: Standing, _ launch: Launch) -> Event? {
        guard let scan, let service = service(id) else { return nil }
        do throws(SystemError) {
            switch service.place {
            case .entry(let name, let identity):
                let now = try status(of: scan.path(of: name)).identity
                if FileID(now) != identity { return .displaced(id) }
            case .logger(let name, let identity):
                // Where the service is another one, its logger has to read what is left.
                guard let entry = try openEntry(name, identity) else { return nil }
                let held = FileID(try service.identity())
                if let now = try Performer.log(in: entry), now != held { return .displaced(id) }
            case .path: return nil
            }
        } catch {
            // It was removed, which ends nothing by itself.
        }
        guard case .main(let pair) = standing else { return nil }
        if pipe(pair)?.writerNumber == nil, service.holds("log") { return .loggerAppeared(id) }
        let definition = define(id)
        return definition == launch.definition ? nil : .redefined(id, definition)
    }

    /// What the directory asks for, nil when it is nothing but `run`; says what is wrong with that.
    private func define(_ id: ServiceID) -> ServiceDefinition? {
        service(id)?.readDefinition(messages)
    }

    private func setup(_ id: ServiceID, _ standing: Standing, _ launch: Launch) -> ChildSetup {
        var setup = ChildSetup()
        setup.directory = service(id)?.directoryNumber ?? -1
        let definition = launch.definition
        setup.newSession = configuration.newSession || definition?.dialect == .s6
        setup.newProcessGroup = !setup.newSession && definition?.leadsGroup == true
        let input = starters.nullInput
        switch standing {
        case .single: setup.descriptors = [input, -1]
        case .main(let pair): setup.descriptors = [input, pipe(pair)?.writerNumber ?? -1]
        case .logger(let pair): setup.descriptors = [pipe(pair)?.readerNumber ?? -1, -1]
        case .command:
            // It has the terminal, if this process has: job control and Ctrl-C reach it and not the services.
            setup.newSession = false
            setup.newProcessGroup = true
            setup.terminal = isForeground(Standard.input) ? Standard.input : -1
        }
        if let output, let service = service(id) {
            output.redirect(&setup.descriptors, of: service, id)
        }
        return setup
    }

    /// Gives a service its ends of a pipeline.
    private func join(_ id: ServiceID, _ ends: PipelineEnds, _ setup: inout ChildSetup)
        throws(SystemError)
    {
        if ends == PipelineEnds() { return }
        let (input, output) = try pipelines.join(id, ends)
        if !hasRoom(for: max(input ?? 0, output ?? 0)) {
            throw SystemError("pipe2", .tooManyDescriptors)
        }
        if let input { setup.descriptors[0] = input }
        if let output { setup.descriptors[1] = output }
    }

    // MARK: - The rest

    private func say(_ remark: Remark) {
        let errno = remark.errno == 0 ? nil : Errno(remark.errno)
        var text = remark.text
        if let problem = remark.problem, let id = remark.program {
            text = describe(problem, of: id)
        }
        if remark.problem == nil, let id = remark.program, let errno,
            let reason = explain(execFailure: errno, id)
        {
            text.append(": \(reason)")
        }
        switch remark.severity {
        case .warning: messages.warning(text, errno)
        case .fatal: messages.report(Failure(text, errno))
        }
    }

    /// A problem of the order with the file and line that it stands in.
    private func describe(_ problem: DependencyGraph.Problem, of id: ServiceID) -> ByteString {
        guard let (file, line) = service(id)?.source?.source(of: problem) else {
            return "\(problem.name): \(problem.text)"
        }
        return DefinitionProblem(file: file, line: line, text: problem.text).description
    }

    /// Why a service or the main command could not be executed, if the error number does not tell.
    private func explain(execFailure errno: Errno, _ id: ServiceID) -> ByteString? {
        if let service = service(id) { return service.explain(execFailure: errno) }
        return configuration.command.flatMap { Linux.explain(execFailure: errno, of: $0) }
    }
}

extension Complaint {
    init(_ failure: Failure) { self.init(failure.text, errno: failure.errno?.code ?? 0) }

    init(_ text: ByteString, _ error: SystemError) {
        self.init(text, errno: error.errno.code)
    }
}
