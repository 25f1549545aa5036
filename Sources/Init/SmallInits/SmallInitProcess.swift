import Bytes
import Linux

/// A small init at work: one command as a child, signals passed on, orphans reaped, and its end as the end. It sleeps in
/// the kernel until a signal comes, needs no descriptor and waits for nobody who reads what it says.
public struct SmallInitProcess: ~Copyable {
    private let plan: SmallInitPlan
    private var signals: SmallInitSignals
    private var output = PatientlessOutput()
    /// The command's; 0 while there is none.
    private var child: ProcessID = 0

    /// Runs until the command has ended; returns the exit code.
    public static func run(_ plan: SmallInitPlan, _ environment: Environment) -> Int32 {
        var process = SmallInitProcess(plan)
        return process.run(environment)
    }

    private init(_ plan: SmallInitPlan) {
        self.plan = plan
        signals = SmallInitSignals(plan)
    }

    private mutating func run(_ environment: Environment) -> Int32 {
        do throws(SystemError) {
            let start = try takeSignals()
            try becomeReaper()
            leaveTerminal()
            if !plan.command.isEmpty, !startCommand(environment, start) { return 1 }
            letGo()
            return try wait()
        } catch {
            let text: ByteString = "\(error.call) failed: \(error.errno.libraryText)"
            output.write(SmallInitLine(text: text, descriptor: Standard.error))
            return 1
        }
    }

    // MARK: - The start

    /// Blocks what it takes and ignores what it ignores; returns what the child is to have again.
    private func takeSignals() throws(SystemError) -> SmallInitChild.Start {
        let blocked = try plan.kind.taken.block()
        var ignored: SignalSet = []
        for number in Int32(1)...64 where plan.kind.ignored.contains(Signal(number)) {
            if try setDisposition(Signal(number), ignored: true) {
                ignored.insert(SignalSet(Signal(number)))
            }
        }
        // Where nobody waits for children, they cannot be waited for. wait(2).
        let leavesChildren = try setDisposition(.child, ignored: false)
        return SmallInitChild.Start(
            blocked: blocked, ignored: ignored, leavesChildren: leavesChildren)
    }

    private mutating func becomeReaper() throws(SystemError) {
        if let signal = plan.parentDeathSignal { try CurrentProcess.endWithParent(signal) }
        let isFirst = CurrentProcess.id == 1
        if plan.isSubreaper, !(isFirst && plan.kind == .catatonit) {
            try CurrentProcess.becomeSubreaper()
            say(.subreaper)
        }
        if plan.kind == .tini, !isFirst, try !CurrentProcess.isSubreaper() { say(.cannotAdopt) }
    }

    /// So that the command's session can have the terminal.
    private mutating func leaveTerminal() {
        guard plan.kind == .dumbInit else { return }
        if plan.verbosity > 1 { say(.debugMode) }
        if plan.isToldToStay { say(.stays) }
        guard plan.startsSession else { return }
        do throws(SystemError) {
            try Linux.leaveTerminal(Standard.input)
            if CurrentProcess.leadsSession { signals.expectHandOff() }
            say(.terminalLeft(isLeader: CurrentProcess.leadsSession))
        } catch { say(.terminalKept(error.errno)) }
    }

    /// Whether there is a child, which becomes the command.
    private mutating func startCommand(
        _ environment: Environment, _ start: SmallInitChild.Start
    ) -> Bool {
        do throws(SystemError) {
            switch try forkProcess() {
            case .child: exitNow(SmallInitChild(plan, environment, start).become())
            case .parent(let id): child = id
            }
            say(.started(child))
            return true
        } catch {
            say(.cannotFork(error.errno))
            return false
        }
    }

    /// Keeps no file system busy and no pipe open.
    private mutating func letGo() {
        if plan.kind.leavesDirectory {
            do throws(SystemError) { try changeDirectory("/") } catch {
                say(.directoryKept(error.errno))
            }
        }
        if plan.kind.closesDescriptors {
            output = PatientlessOutput()
            // A kernel before 5.9 lacks the call, and they stay open.
            do throws(SystemError) { try closeDescriptors(from: 3) } catch {}
        }
    }

    // MARK: - The signals

    private mutating func wait() throws(SystemError) -> Int32 {
        while true {
            let signal = try awaitSignal(plan.kind.taken)
            say(.received(signal))
            let response = signals.response(to: signal)
            say(.response(response, to: signal))
            switch response {
            case .end: return 0
            case .pass(let new): pass(new)
            case .drop: say(.dropped)
            case .reap, .ignore, .handOff: break
            }
            if signals.stopsItself(after: signal), response != .handOff {
                say(.stopsItself)
                try send(.stop, to: CurrentProcess.id)
            }
            if response == .reap || plan.kind.reapsAlways, let status = reapAll() {
                return plan.exitCode(status)
            }
        }
    }

    private mutating func pass(_ signal: Signal) {
        let target = plan.reachesGroup ? -child : child
        do throws(SystemError) {
            do throws(SystemError) { try send(signal, to: target) } catch {
                // The child has not come to lead its group yet: it gets the signal when it is the command.
                guard plan.reachesGroup, error.errno == .noProcess else { throw error }
                try send(signal, to: child)
            }
        } catch { say(.notPassed(signal, to: target, error.errno)) }
        say(.passed(signal))
    }

    /// Reaps who has died; returns how the command ended if it was among them.
    private mutating func reapAll() -> ExitStatus? {
        var end: ExitStatus?
        while true {
            // There is no other error than the lack of children.
            var found = WaitResult.noChildren
            do throws(SystemError) { found = try reap() } catch {}
            switch found {
            case .resumed: continue
            case .ended(let pid, let status):
                say(.reaped(pid, status))
                guard pid == child else {
                    say(.orphanReaped(pid, status))
                    continue
                }
                end = status
                if plan.kind.endsAtOnce { endOthers() }
                say(.commandEnded(status))
                if plan.kind.endsAtOnce { return status }
            case .nothingYet, .noChildren:
                say(found == .nothingYet ? .noneYet : .noneLeft)
                if end != nil { say(.ends) }
                return end
            }
        }
    }

    /// Who is left of the command's group is told to end.
    private mutating func endOthers() {
        let response = plan.translated(.terminate)
        say(.response(response.map { .pass($0) } ?? .drop, to: .terminate))
        guard let signal = response else { return say(.dropped) }
        if plan.reachesGroup {
            // Mostly there is nobody.
            do throws(SystemError) { try send(signal, to: -child) } catch {}
        }
        say(.passed(signal))
    }

    private mutating func say(_ notice: SmallInitNotice) {
        if let line = plan.line(notice, pid: CurrentProcess.id) { output.write(line) }
    }
}

/// Writes lines to standard output and error, or drops them where that would mean to wait.
private struct PatientlessOutput {
    /// Where to write, by the standard descriptor; found out at the first line.
    private var copies: [Int32] = [-1, -1, -1]

    mutating func write(_ line: SmallInitLine) {
        let place = Int(line.descriptor)
        if copies[place] < 0 {
            copies[place] = copy(line.descriptor) ?? line.descriptor
        }
        // There is nobody to tell of an error.
        do throws(SystemError) {
            try writeWithoutWaiting(copies[place], Array(line.text.bytes) + [UInt8(ascii: "\n")])
        } catch {}
    }

    /// One beyond the standard descriptors: were one of those closed, it would be taken for it.
    private func copy(_ descriptor: Int32) -> Int32? {
        guard let copy = reopenWithoutWaiting(descriptor) else { return nil }
        if copy > Standard.error { return copy }
        closeUnowned(copy)
        return nil
    }
}
