import Bytes
import Commands
import Formats
import Linux
import ServiceFiles
import Services

// Going on where another image of this process stopped, after an exec.

extension Supervisor {
    /// Executes this binary once more, after a pause. Services run on meanwhile.
    static func tryAgain(_ error: SystemError, _ messages: Messages) {
        messages.nonBlocking.warning(
            "unable to go on yet: unable to set up \(error.call)", error.errno)
        pause(until: Instant.now.advanced(milliseconds: 1000))
        // As by any other fault, but not one of its own.
        do throws(SystemError) { try Linux.send(.abort, to: CurrentProcess.id) } catch {}
    }

    /// Goes on where another image of this process stopped. Throws when that has been tried often enough.
    func resume(_ resumption: Resumption) throws(SystemError) {
        let fault = resumption.table.fault
        resumption.rest()
        if fault.stuck > Resumption.mostAttempts {
            messages.warning("stopped by one fault after another; services are left running")
            throw SystemError("go on", Errno(14))
        }
        if let adoption = resumption.adoption, fault.stuck < Resumption.mostAttempts {
            do throws(SnapshotError) {
                try performer.adopt(adoption.facts, resumption.carried, for: adoption.conductor)
                resumption.carried.closeRest()
                if let carryover { performer.begin(carryover) }
                listenAgain()
                conductor = adoption.conductor
                go(through: adoption.steps, fault, resumption.table)
                return
            } catch {
                carryover = nil
            }
        }
        performer.forgetAll()
        performer.formerCommand = resumption.table.command
        resumption.carried.closeRest()
        messages.warning(
            "lost the state in \(resumption.cause): taking over running services by their status files"
        )
        begin()
    }

    /// Takes the steps of the image before, and then performs what was still to be performed.
    func go(through steps: [JournalEntry], _ fault: CarriedTable.Fault, _ table: CarriedTable) {
        let all = Replay(steps)
        replay = all
        if fault.stuck == Resumption.mostAttempts - 1 { replay = all.withoutLastEvent() }
        var last = all
        while let (event, moment) = replay?.nextEvent() {
            if let replay { last = replay }
            handle(event, at: moment)
        }
        if replay?.isBroken == true {
            replay = nil
            performer.forgetAll()
            performer.formerCommand = table.command
            var parts = configuration.conductor
            parts.hasScanDirectory = configuration.scanDirectory != nil
            parts.command = configuration.command?.program
            conductor = Conductor(parts)
            carryover = nil
            messages.warning(
                "the saved state is inconsistent: taking over running services by their status files"
            )
            return begin()
        }
        replay = nil
        watchStrangers()
        if fault.stuck == Resumption.mostAttempts - 1 {
            carryover?.renew(conductor, performer.facts)
        }
        if fault.signal == 0 {
            messages.information(
                "became another binary, processes of services still running: \(conductor.processCount)"
            )
        } else {
            messages.warning(
                "recovered from \(Resumption.cause(fault)), processes of services still running: \(conductor.processCount)"
            )
        }
        for action in conductor.lasting {
            if let outcome = perform(action) { take(outcome) }
        }
        takeWhatWasRead(last, table)
        if performer.scan != nil { take(.directoryChanged) }
    }

    /// Waits again for all that was waited for.
    func listenAgain() {
        for index in performer.services.indices {
            let id = ServiceID(index)
            guard let service = performer.service(id) else { continue }
            if let control = service.control {
                do throws(SystemError) {
                    try loop.add(control, token: Token.of(id, .control))
                } catch {
                    messages.warning(
                        "unable to watch \(service.name)/supervise/control", error.errno)
                }
            }
            listenToNotices(of: id)
        }
        listenToScanControl()
    }

    /// Takes what was read, but not written down, when the fault came.
    func takeWhatWasRead(_ last: Replay, _ table: CarriedTable) {
        let letters = table.letters
        let first = last.lastLetters.serial == letters.serial ? Int(last.lastLetters.part) + 1 : 0
        if letters.token == Token.scanControl {
            takeScanCommands(letters, from: first)
        } else if !letters.bytes.isEmpty, let (id, part) = Token.parts(of: letters.token) {
            if part == .control { takeCommands(id, letters, from: first) }
            if part == .pipe && first == 0 { takeWord(from: id, letters) }
        }
        if let (signal, serial) = table.signal {
            let first = last.lastSignal.serial == serial ? Int(last.lastSignal.part) + 1 : 0
            take(signal, serial, from: first)
        }
    }

    /// Performs the action that was under way at the fault.
    func performAgain(_ action: Action) -> Event? {
        let pid = carryover?.startedProcess ?? 0
        if pid > 0 {
            switch action {
            case .start(let id, _, _, _):
                performer.service(id)?.process = pid
                listenToNotices(of: id)
                return .started(id, pid: pid)
            case .accompany(let id, _, _, _): return .accompanied(id, .started(pid: pid))
            default: break
            }
        }
        if resumption?.table.fault.stuck == Resumption.mostAttempts - 2,
            let failure = action.failure
        {
            return failure
        }
        performer.forget(action)
        return perform(action)
    }
}

extension CarriedTable.Letters {
    func origin(_ part: Int) -> JournalEntry.Origin {
        .init(serial: serial, part: UInt16(truncatingIfNeeded: part), isSignal: false)
    }
}
