import Bytes

/// An end in order: services first, each logger when the last line has been written.
extension Conductor {
    /// Begins the stop, or hurries one that has begun. Every service is told what `svc -dx` tells it, the main command
    /// gets the signal and CONT, and nothing is started any more. As services end, their loggers' pipes are closed,
    /// so that loggers see the end of their input after the last line, and end.
    mutating func beginStop(_ ending: Ending, _ signal: ServiceSignal, at now: Moment) -> [Action] {
        self.ending = ending
        if stop != nil {
            stop?.hurry(at: now.nanoseconds)
            return []
        }
        stop = StopPlan(start: now.nanoseconds, bounds)
        // Orphans have been adopted without notice since a wait last found no child.
        hasChildren = true
        var actions: [Action] = [.expectChildren]
        if order.isStale { remakeOrder() }
        // One that goes takes what is known of the order with it.
        let order = order
        for index in services.indices {
            actions += beginStop(ServiceID(index), signal, order, at: now)
        }
        actions += stopNext(at: now)
        // A logger may be without a service, if that was told to end before or never came up.
        for index in pairs.indices where pairs[index]?.service == nil && pairs[index] != nil {
            actions += endInput(of: PairID(index), at: now)
        }
        return actions
    }

    private mutating func beginStop(
        _ id: ServiceID, _ signal: ServiceSignal, _ order: ServiceOrder, at now: Moment
    ) -> [Action] {
        guard let service = services[id.index] else { return [] }
        switch service.standing {
        case .logger: return []
        case .command:
            let pid = service.machine.pid
            if pid != 0 { return [.signal(pid: pid, signal), .signal(pid: pid, .continue)] }
            // It has not been started yet, and is not any more. What it waited for may be why.
            let cause = configuration.commandWaits ? essentialCode : nil
            commandCode = cause ?? 128 + signal.rawValue
            return remove(id, at: now)
        case .main where order.concerns(id): return []
        case .single, .main: return dismiss(id, at: now)
        }
    }

    /// As `svc -dx` does.
    mutating func dismiss(_ id: ServiceID, at now: Moment) -> [Action] {
        tell(id, .command(.down), at: now) + tell(id, .command(.exit), at: now)
    }

    var bounds: StopPlan.Bounds {
        StopPlan.Bounds(
            limit: configuration.stopLimit, reserve: configuration.stopReserve,
            reachesOthers: configuration.reachesOthers)
    }

    /// Takes the stop as far as it goes now.
    mutating func advanceStop(at now: Moment) -> [Action] {
        // Who is on its way cannot be spared yet.
        if services.places.contains(where: { $0?.machine.state == .starting }) { return [] }
        var actions = stopNext(at: now)
        // A step may leave nothing, as when it lets go of a logger that waits.
        while true {
            let remainder = remainder
            guard let steps = stop?.advance(remainder, at: now.nanoseconds), !steps.isEmpty else {
                return actions
            }
            for step in steps { actions += take(step, at: now) }
        }
    }

    private var remainder: StopPlan.Remainder {
        var services = false
        var loggers = false
        for index in self.services.indices {
            guard let service = self.services[index] else { continue }
            if service.isLogger {
                // One that waits to be started is going to read what is left.
                if service.machine.pid != 0 || service.machine.isStartDue { loggers = true }
            } else if service.machine.pid != 0 || service.machine.isHelperDue
                || !service.machine.isLeaving && order.concerns(ServiceID(index))
            {
                services = true
            }
        }
        let anything =
            configuration.reachesOthers ? hasChildren || loggers : !self.services.isEmpty
        return StopPlan.Remainder(services: services, loggers: loggers, anything: anything)
    }

    private mutating func take(_ step: StopPlan.Step, at now: Moment) -> [Action] {
        switch step {
        case .killServices:
            hasKilled = true
            let time = now.nanoseconds - min(stop?.start ?? now.nanoseconds, now.nanoseconds)
            return [.say(.killing(namesUp, after: time))] + dismissAll(at: now)
                + kill(loggers: false, at: now)
        case .terminateOthers:
            return [.signalOthers([.terminate, .continue], sparing: loggerProcesses)]
        case .killOthers: return [.signalOthers([.kill], sparing: loggerProcesses)]
        case .terminateLoggers:
            return tellLoggers(.exit, at: now) + tellLoggers(.down, at: now)
        case .killEverything:
            let isFirst = stop?.phase == .again
            return (isFirst ? [.say(.limitReached)] : []) + kill(loggers: true, at: now)
                + (configuration.reachesOthers ? [.signalOthers([.kill], sparing: [])] : [])
        case .end:
            isOver = true
            return [.end(ending, exitCode: exitCode)]
        }
    }

    /// The essential service's or the main command's, or what tells that a service had to be killed, or that there never was a service.
    private var exitCode: Int32 {
        if let code = essentialCode ?? commandCode { return code }
        if hasKilled { return 128 + ServiceSignal.kill.rawValue }
        return configuration.hasScanDirectory && scan.directory == nil ? 111 : 0
    }

    private var namesUp: [ByteString] {
        var names: [ByteString] = []
        for case .some(let service) in services.places
        where service.machine.pid != 0 && !service.isLogger {
            names.append("\(service.name) (pid \(service.machine.pid))")
        }
        return names
    }

    private var loggerProcesses: [Int32] {
        services.places.compactMap { service in
            guard let service, service.isLogger, service.machine.pid != 0 else { return nil }
            return service.machine.pid
        }
    }

    private mutating func kill(loggers: Bool, at now: Moment) -> [Action] {
        var actions: [Action] = loggers ? tellLoggers(.exit, at: now) : []
        for index in services.indices where loggers || services[index]?.isLogger == false {
            actions += tell(ServiceID(index), .command(.kill), at: now)
        }
        return actions
    }

    private mutating func tellLoggers(_ command: Command, at now: Moment) -> [Action] {
        var actions: [Action] = []
        for index in services.indices where services[index]?.isLogger == true {
            actions += tell(ServiceID(index), .command(command), at: now)
        }
        return actions
    }
}
