import Bytes
import Commands
import Formats
import Linux

/// Doing what the service machines say.
extension Supervisor {
    /// Tells a service's machine what happened and does what it wants done. The status file is written
    /// once, at the end: between a death and the start that follows at once nobody can look. But it is
    /// before a signal if the machine says so, since the signal is to be seen in the process.
    func handle(_ event: ServiceMachine.Event, _ service: Service) {
        if service.machine.isOver { return }
        effects.removeAll(keepingCapacity: true)
        if event == .ended { service.since = Service.now }
        service.machine.handle(event, at: Instant.now.nanoseconds, &effects)
        var next = 0
        var mustWrite = false
        while next < effects.count {
            switch effects[next] {
            case .start: start(service)
            case .signal(let signal):
                if mustWrite { service.writeStatus(messages) }
                mustWrite = false
                send(signal, to: service)
            case .writeStatus: mustWrite = true
            case .end: break
            }
            next += 1
        }
        if mustWrite { service.writeStatus(messages) }
        if service.machine.deadline != nil && !service.isWaiting {
            service.isWaiting = true
            waiting.append(service)
        }
        if service.machine.isOver {
            remove(service)
        } else if service.isLogger, let entry = service.entry {
            if isStopping { letGo(of: service) } else if entry.isForsaken { entry.writer = nil }
        }
    }

    /// Starts `./run` and tells the machine the outcome, which may add effects.
    private func start(_ service: Service) {
        let outcome: ServiceMachine.Event
        do throws(SpawnError) {
            let pid = try start(run, childSetup(service))
            processes[pid] = service
            service.since = Service.now
            service.noteStart(nil, messages)
            outcome = .started(pid: pid)
        } catch {
            service.noteStart(error, messages)
            outcome = .startFailed(isRefusal: error.isFork)
        }
        service.machine.handle(outcome, at: Instant.now.nanoseconds, &effects)
    }

    private func childSetup(_ service: Service) -> ChildSetup {
        var setup = ChildSetup()
        setup.directory = service.directory.place.number
        setup.newSession = configuration.newSession
        switch service.role {
        case .single: break
        case .main:
            if let writer = service.entry?.writerNumber { setup.descriptors = [-1, writer] }
        case .logger:
            if let reader = service.entry?.readerNumber { setup.descriptors = [reader] }
        }
        return setup
    }

    private func send(_ signal: ServiceSignal, to service: Service) {
        let number: Signal =
            switch signal {
            case .hangup: .hangup
            case .interrupt: .interrupt
            case .quit: .quit
            case .kill: .kill
            case .user1: .user1
            case .user2: .user2
            case .alarm: .alarm
            case .terminate: .terminate
            case .continue: .continue
            case .stop: .stop
            case .windowChange: .windowChange
            }
        send(number, to: service)
    }

    /// A service's process is a child not yet reaped, so its id cannot be another's.
    func send(_ signal: Signal, to service: Service) {
        do throws(SystemError) { try Linux.send(signal, to: service.machine.pid) } catch {
            messages.warning("unable to signal \(service.name)", error.errno)
        }
    }

    /// Begins to supervise the directory open as `place`.
    func add(
        _ place: consuming Descriptor, name: ByteString, role: Service.Role, entry: ScanEntry?
    ) throws(Failure) -> Service {
        let isDown = try ServiceDirectory.isDown(place, name: name)
        let fallback: ServiceDirectory.Fallback =
            if case .single = role { .none } else { .uncontrolled }
        let directory = try ServiceDirectory(place, name: name, fallback: fallback)
        if directory.highestNumber >= descriptorReserve {
            throw Failure(
                "unable to start \(name): running too many services", .tooManyDescriptors)
        }
        let service = Service(
            name: name, role: role, entry: entry, directory: directory, isDown: isDown)
        try listen(to: service)
        handle(.begin, service)
        service.announce(messages)
        return service
    }

    private func listen(to service: Service) throws(Failure) {
        let slot = freeSlots.last ?? services.count
        if let control = service.directory.control {
            do throws(SystemError) { try loop.add(control, token: UInt64(slot)) } catch {
                throw error.explained("unable to watch \(service.name)/supervise/control")
            }
        } else {
            messages.warning(
                "running \(service.name) without supervise/control and supervise/status",
                .readOnly)
        }
        occupy(slot, service)
    }

    private func occupy(_ slot: Int, _ service: Service) {
        service.slot = slot
        if slot == services.count {
            services.append(service)
        } else {
            services[slot] = service
            freeSlots.removeLast()
        }
    }

    /// Supervises a service no more. Its descriptors are closed with the last reference to it.
    private func remove(_ service: Service) {
        services[service.slot] = nil
        freeSlots.append(service.slot)
        service.slot = -1
        guard let entry = service.entry else { return }
        if service.isLogger { entry.logger = nil } else { entry.service = nil }
        if isStopping && !service.isLogger { endInput(of: entry) }
        // Nobody writes any more. Its logger may be waiting for the rest of a line.
        if entry.isForsaken { entry.writer = nil }
        scanner?.noteEnd(of: entry)
    }
}
