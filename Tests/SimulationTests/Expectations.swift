import Bytes
import Formats

@testable import Services

/// What is known of a supervised service besides what its conductor says.
struct SupervisedService {
    enum Wish { case up, down, none }

    let standing: Standing
    let inode: Int
    let serial: Int
    let isLogger: Bool
    /// By which name it was opened, and by which it was last listed.
    let name: Int
    var lastName: Int
    var wish = Wish.up
    var mayStart = false
    var mustLeave = false
    var wasToldToGo = false
    var process: Int32 = 0
    var isStarting = false
    var isPaused = false
    /// When its name was first seen to lead to another directory; nil while it does not.
    var superseded: UInt64?
    let opened: UInt64
    var refusals: UInt64 = 0
    /// Before when it may not be started, and when it must.
    var earliestStart: UInt64 = 0
    var due: UInt64?
    var status: StatusRecord?
    /// What is known of it where directories hold more than `run`.
    var life = DefinedLife()
    var wasToldDown = false

    init(standing: Standing, inode: Int, serial: Int, isLogger: Bool, name: Int, at now: UInt64) {
        opened = now
        self.standing = standing
        self.inode = inode
        self.serial = serial
        self.isLogger = isLogger
        self.name = name
        lastName = name
    }
}

struct ExpectedSignal: Equatable {
    let pid: Int32
    let signal: Int32
}

struct ExpectedStop {
    var ending: Ending
    var end: UInt64
    /// How the service ended that all depends on, if it was that.
    var essentialCode: Int32?
    /// Whether the services have ended.
    var isPastServices = false
    /// Since when no service has had a process. Some may have been let go of since, which is known a little later.
    var gone: UInt64?
}

/// What the events mean, from the manual.
extension World {
    func expect(_ event: Event) throws {
        lastCommand = nil
        if case .commanded(_, let command) = event { lastCommand = command }
        if schedule.isDefined, expectDefined(event) { return }
        switch event {
        case .commanded(let id, let command): expectCommand(id.index, command)
        case .died(let pid, let death): expectDeath(pid, death)
        case .stopAsked(let ending, let signal): expectStop(ending, signal.rawValue)
        case .forwarded(let signal):
            for case .some(let service) in services
            where service.standing == .command && service.process != 0 {
                expectedSignals.append(.init(pid: service.process, signal: signal.rawValue))
            }
        case .listed(let listing): expectListing(listing)
        case .opened(let id, let isDown, _):
            services[id.index]?.wish = isDown ? .down : .up
            services[id.index]?.mayStart = !isDown
            services[id.index]?.due = isDown ? nil : now
        case .started(let id, let pid): expectStart(id.index, pid)
        case .refused(let id, _): expectRefusal(id.index)
        case .congested(let id): expectRetry(id.index, at: now + 2_000_000)
        case .displaced(let id), .loggerAppeared(let id): expectRetry(id.index, at: now)
        case .began where conductor.configuration.command != nil:
            var service = SupervisedService(
                standing: .command, inode: -1, serial: -1, isLogger: false, name: 0, at: now)
            service.wish = .none
            service.mayStart = true
            service.due = now
            let index = schedule.kind == .supervise ? 1 : 0
            while services.count <= index { services.append(nil) }
            services[index] = service
        default: break
        }
    }

    /// Where others are not told to end, they may hold a pipe for ever: loggers have the reserve after the services.
    func expectEndOfServices() {
        guard var stop, !stop.isPastServices, !reachesOthers, !isServiceUp else { return }
        stop.isPastServices = true
        stop.end = min(stop.end, now + schedule.reserve)
        self.stop = stop
    }

    func noteGoneServices() {
        let gone = stop?.gone ?? now
        let isThere = services.contains { $0?.isLogger == false && $0?.process != 0 }
        stop?.gone = isThere ? nil : gone
    }

    /// Whether a service or the main command has a process.
    var isServiceUp: Bool {
        services.contains { service in
            guard let service, !service.isLogger else { return false }
            // Another of its programs may follow.
            let life = service.life
            let undoes = !life.asked.programs.isDisjoint(with: [.stop, .down])
            return service.process != 0 || life.owedFinish != nil || life.hasToUndo && undoes
        }
    }

    private func expectCommand(_ index: Int, _ command: Command) {
        guard var service = services[index] else { return }
        let pid = service.process
        var signals: [Int32] = []
        switch command {
        case .up, .once:
            service.wish = command == .up ? .up : .none
            service.mayStart = true
            if pid == 0 && service.due == nil && !service.mustLeave {
                service.due = max(now, service.earliestStart)
            }
            if !service.mustLeave { service.wasToldToGo = command == .once }
        case .down:
            service.wish = .down
            service.mayStart = false
            service.due = nil
            service.isPaused = false
            service.wasToldToGo = true
            signals = [15, 18]
        case .exit:
            service.mustLeave = true
            service.due = nil
            service.wasToldToGo = true
        case .pause:
            service.isPaused = pid != 0
            signals = [19]
        case .continue:
            service.isPaused = false
            signals = [18]
        case .hangup: signals = [1]
        case .alarm: signals = [14]
        case .interrupt: signals = [2]
        case .terminate: signals = [15]
        case .kill: signals = [9]
        case .quit: signals = [3]
        case .user1: signals = [10]
        case .user2: signals = [12]
        case .windowChange: signals = [28]
        case .reload: signals = [1]
        case .restart:
            service.isPaused = false
            signals = [15, 18]
        }
        services[index] = service
        if pid == 0 { return }
        expectedSignals += signals.map { ExpectedSignal(pid: pid, signal: $0) }
    }

    private func expectDeath(_ pid: Int32, _ death: Death) {
        guard let index = services.firstIndex(where: { $0?.process == pid }),
            var service = services[index]
        else { return }
        if isDefined(service) {
            return expectDefinedDeath(index, pid, death)
        }
        service.process = 0
        service.isPaused = false
        if service.wish == .none { service.mayStart = false }
        if service.mayStart && !service.mustLeave { service.due = max(now, service.earliestStart) }
        services[index] = service
        guard service.standing == .command else { return }
        services[index] = nil
        let code =
            switch death.startError {
            case 0: death.status & 0x7f == 0 ? death.status >> 8 : 128 + death.status & 0x7f
            case 2: 127 as Int32
            default: 126 as Int32
            }
        commandCode = code
        if stop == nil { expectStop(.exit, 15) }
    }

    private func expectStart(_ index: Int, _ pid: Int32) {
        guard let service = services[index] else { return }
        services[index]?.process = pid
        services[index]?.isStarting = false
        services[index]?.isPaused = false
        services[index]?.refusals = 0
        services[index]?.earliestStart = now + World.second
        services[index]?.due = nil
        if service.mayStart { return }
        // It was told to go down after the start had been decided.
        expectedSignals += [.init(pid: pid, signal: 15), .init(pid: pid, signal: 18)]
    }

    private func expectRefusal(_ index: Int) {
        guard var service = services[index] else { return }
        service.isStarting = false
        service.earliestStart = now + World.second << service.refusals
        service.refusals = min(service.refusals + 1, 5)
        if service.mayStart && !service.mustLeave { service.due = service.earliestStart }
        services[index] = service
        if service.standing == .command {
            services[index] = nil
            commandCode = 111
            if stop == nil { expectStop(.exit, 15) }
        }
    }

    private func expectRetry(_ index: Int, at time: UInt64) {
        services[index]?.isStarting = false
        if services[index]?.mayStart == true && services[index]?.mustLeave == false {
            services[index]?.due = time
        }
    }

    private func expectStop(_ ending: Ending, _ signal: Int32) {
        if var stop {
            let isAfterKill = now >= stop.end - min(stop.end, schedule.reserve)
            stop.end = min(stop.end, isServiceUp && !isAfterKill ? now + schedule.reserve : now)
            stop.ending = ending
            self.stop = stop
            return
        }
        stop = ExpectedStop(ending: ending, end: now + schedule.limit)
        for index in services.indices {
            guard let service = services[index] else { continue }
            switch service.standing {
            case .logger: break
            case .command:
                if service.process != 0 {
                    expectedSignals += [
                        .init(pid: service.process, signal: signal),
                        .init(pid: service.process, signal: 18),
                    ]
                } else {
                    services[index] = nil
                    commandCode = 128 + signal
                }
            case .main where schedule.isDefined: break
            case .single, .main: tellToGo(index)
            }
        }
    }

    /// As `svc -dx` does.
    private func tellToGo(_ index: Int) {
        if isDefined(services[index]) {
            expectDefinedCommand(index, .down)
            expectDefinedCommand(index, .exit)
            return
        }
        expectCommand(index, .down)
        expectCommand(index, .exit)
    }

    /// A service whose name leads to another directory is to end.
    private func expectListing(_ listing: Listing) {
        if stop != nil { return }
        var names: [Int: Int] = [:]
        var directories: [Int: Int] = [:]
        for entry in listing.entries {
            guard case .directory(let identity, _) = entry.content else { continue }
            let inode = Int(identity.inode)
            let name = SimulatedFiles.index(of: entry.name)
            names[name] = inode
            if directories[inode] == nil { directories[inode] = name }
            if files.directories[inode]?.firstListed == nil {
                files.directories[inode]?.firstListed = now
                files.directories[inode]?.isTakenAsItIs = !hasListed
            }
        }
        hasListed = true
        for index in services.indices {
            guard case .main = services[index]?.standing, let service = services[index] else {
                continue
            }
            if let name = directories[service.inode] {
                services[index]?.lastName = name
                services[index]?.superseded = nil
            } else if names[service.lastName] != nil, service.superseded == nil {
                services[index]?.superseded = now
                tellToGo(index)
            }
        }
    }
}
