import Bytes
import Commands
import Formats
import Linux
import ServiceFiles
import Services

// What services say of themselves.

extension Supervisor {
    /// Waits for what a service that has been started tells through its pipe or socket.
    func listenToNotices(of id: ServiceID) {
        guard let service = performer.service(id) else { return }
        for (number, part) in service.extras?.notification.newNumbers ?? [] {
            do throws(SystemError) {
                try loop.add(number, token: Token.of(id, part == .pipe ? .pipe : .socket))
            } catch {
                messages.warning(
                    "unable to watch for the readiness of \(service.name)", error.errno)
            }
        }
    }

    /// Waits for the first to connect to a service that has no process; returns an event when that cannot be.
    func listenForConnections(to id: ServiceID) -> Event? {
        guard let service = performer.service(id) else { return nil }
        let numbers = service.openSockets()
        if numbers.isEmpty { return .connected(id) }
        // A stop may have left them in the loop.
        ignoreConnections(to: id)
        for number in numbers {
            do throws(SystemError) {
                try loop.add(number, token: Token.of(id, .listener))
            } catch { return .connected(id) }
        }
        return nil
    }

    /// The sockets are the service's from now on: they would wake this process again and again.
    func ignoreConnections(to id: ServiceID) {
        for number in performer.service(id)?.extras?.held.socketNumbers ?? [] {
            do throws(SystemError) { try loop.remove(number) } catch {
                // It was not in the loop.
            }
        }
    }

    func readPipe(_ id: ServiceID) {
        guard let number = performer.service(id)?.extras?.notification.pipeNumber else { return }
        do throws(SystemError) {
            takeWord(from: id, try readLetters(number, Token.of(id, .pipe)))
        } catch {
            if error.errno != .again { takeWord(from: id, .init(token: 0, serial: 0, bytes: [])) }
        }
    }

    func takeWord(from id: ServiceID, _ letters: CarriedTable.Letters) {
        guard let channel = performer.service(id)?.extras?.notification else { return }
        let word = NotificationChannel.word(in: letters.bytes)
        if word == .nothing { return }
        if word == .ready { take(.ready(id), from: letters.origin(0)) }
        performer.recordExtras(of: id, withoutReader: true)
        channel.closeReader()
    }

    func readNotices(_ id: ServiceID) {
        guard let extras = performer.service(id)?.extras else { return }
        // Of many lines only the last one is of any use.
        var text: ByteString?
        extras.notification.receive { message, sender, descriptors in
            guard conductor.isProcess(sender.process, of: id) || isTrusted(sender, id) else {
                return
            }
            keep(&descriptors, message, id, extras.held)
            if message.storesDescriptors || message.removesDescriptors {
                performer.recordExtras(of: id)
            }
            if let status = message.status { text = status.visible }
            let events = events(of: message, from: id, sender)
            if events.isEmpty { return }
            if let said = text { take(.said(id, .status(said))) }
            text = nil
            for event in events { take(event) }
        }
        if let text { take(.said(id, .status(text))) }
    }

    /// Lets the process that a service named go on in the place of the one that ends. It has to be a child of this
    /// process by now, so that its end is seen: the parent that it had is gone.
    func installHeir(of pid: ProcessID) {
        guard let id = conductor.service(of: pid), let heir = heirs.removeValue(forKey: id),
            ProcessTable.parent(of: heir) == CurrentProcess.id
        else { return }
        take(.said(id, .mainProcess(heir)))
    }

    /// From now on, what a service leaves behind becomes a child of this process, which alone can see its end.
    private func becomeReaper() {
        if isReaper { return }
        isReaper = true
        do throws(SystemError) { try CurrentProcess.becomeSubreaper() } catch {
            messages.warning("unable to become a child subreaper", error.errno)
        }
    }

    /// Keeps the descriptors that a service leaves for its next start.
    func keep(
        _ descriptors: inout ReceivedDescriptors, _ message: NotifyMessage, _ id: ServiceID,
        _ held: HeldDescriptors
    ) {
        let name = message.descriptorName ?? "stored"
        if message.removesDescriptors { held.remove(name) }
        guard message.storesDescriptors else { return }
        while let descriptor = descriptors.takeFirst() {
            guard performer.hasRoom(for: descriptor.number) else { return }
            held.store(
                descriptor, name, isPolled: message.pollsDescriptors,
                limit: conductor.storeLimit(of: id))
        }
    }

    /// Whether a process that is not the service's own may speak for it: one that descends from it.
    func isTrusted(_ sender: PeerCredentials, _ id: ServiceID) -> Bool {
        let pid = conductor.process(of: id)
        return pid != 0 && ProcessTable.isDescendant(sender.process, of: pid)
    }

    func events(of message: NotifyMessage, from id: ServiceID, _ sender: PeerCredentials)
        -> [Event]
    {
        if message.isBarrier { return [] }
        var events: [Event] = []
        if let pid = message.mainPID, ProcessTable.isDescendant(pid, of: conductor.process(of: id))
        {
            heirs[id] = pid
            becomeReaper()
        }
        if let period = message.watchdogInterval {
            events.append(.said(id, .watchdogPeriod(period)))
        }
        if let time = message.timeExtension { events.append(.said(id, .extended(time))) }
        if message.isReloading { events.append(.said(id, .reloading)) }
        if message.isReady { events.append(.ready(id)) }
        if message.isStopping { events.append(.said(id, .stopping)) }
        if message.resetsRestarts { events.append(.said(id, .forgiven)) }
        switch message.watchdog {
        case .ping: events.append(.said(id, .pinged))
        case .trigger: events.append(.said(id, .troubled))
        case nil: break
        }
        return events
    }
}
