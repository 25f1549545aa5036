import Bytes
import Commands
import Formats
import Linux
import Services

/// A run of sv(8): does something with each service, and waits for what comes of it. Lines, exit codes and their
/// order are those of runit's sv.
public struct SvRun {
    /// How sv was called.
    public struct Configuration {
        /// What to do.
        public var action: SvAction
        /// The services, as given.
        public var services: [ByteString]
        /// Where services are looked for.
        public var directory: ByteString
        /// For how many seconds an effect is waited for.
        public var patience: UInt
        /// Whether it was called as an init script, which has exit codes of its own.
        public var isScript: Bool

        /// A configuration of these parts.
        public init(
            _ action: SvAction, _ services: [ByteString], in directory: ByteString, patience: UInt,
            isScript: Bool
        ) {
            self.action = action
            self.services = services
            self.directory = directory
            self.patience = patience
            self.isScript = isScript
        }
    }

    private let configuration: Configuration
    private let environment: Environment
    private let states: StatePlaces
    private let start = SvRun.now()
    private let startInstant = Instant.now
    private var failures: Int32 = 0
    private var isLog = false

    /// The exit code for more failures than this.
    private static let mostFailures: Int32 = 99
    /// For how many milliseconds the first pause is, and the longest one.
    private static let pauses: ClosedRange<UInt64> = 20...420

    /// A run as configured; `environment` is what `check` scripts get.
    public init(_ configuration: Configuration, environment: Environment) {
        self.configuration = configuration
        self.environment = environment
        states = StatePlaces(ofClientWith: environment)
    }

    private var action: SvAction { configuration.action }

    /// The exit code for what keeps sv from doing anything at all.
    public static func fatalCode(isScript: Bool) -> Int32 { isScript ? 151 : 100 }

    /// Does everything. Returns the exit code.
    public mutating func run() throws(SystemError) -> Int32 {
        let home = try openFile(".", .read)
        // What is written to may stop being read.
        _ = try setDisposition(.pipe, ignored: true)
        var waiting: [SvService] = []
        for name in configuration.services {
            let service = SvService(name: name)
            if enter(service) {
                switch action.kind {
                case .check: waiting.append(service)
                case .control: if control(service, action) { waiting.append(service) }
                case .status: if let code = printStatus(service) { return code }
                }
            }
            try changeDirectory(to: home)
        }
        if action.waits { try wait(for: waiting, home) }
        return min(failures, SvRun.mostFailures)
    }

    private mutating func wait(for services: [SvService], _ home: borrowing Descriptor)
        throws(SystemError)
    {
        let deadline = startInstant.advanced(
            milliseconds: UInt64(min(configuration.patience, 1 << 40)) * 1000)
        var waiting = services
        var pause = SvRun.pauses.lowerBound
        // Whatever the time, all are looked at once.
        var isLate = false
        while true {
            var left: [SvService] = []
            for service in waiting {
                if enter(service), !isDone(with: service) {
                    if isLate { giveUp(service) } else { left.append(service) }
                }
                try changeDirectory(to: home)
            }
            if left.isEmpty { return }
            waiting = left
            Linux.pause(until: .now.advanced(milliseconds: pause))
            pause = min(pause * 2, SvRun.pauses.upperBound)
            isLate = Instant.now > deadline
        }
    }

    private mutating func enter(_ service: SvService) -> Bool {
        do throws(SystemError) {
            try service.enter(from: configuration.directory)
            return true
        } catch {
            report("fail", service, "unable to change to service directory", error.errno)
            return false
        }
    }

    /// Sends the commands of `action`. Returns whether their effect can be waited for.
    private mutating func control(_ service: SvService, _ action: SvAction) -> Bool {
        guard let status = look(at: service) else { return false }
        if action.isWanted(status) { return true }
        var step: StaticString = "open"
        do throws(SystemError) {
            let control = try SuperviseDirectory(of: .current, or: states).openCommands()
            step = "write to"
            try ServiceFiles.send(
                action.letters(for: status), to: control,
                until: .now.advanced(milliseconds: SvRun.fullPatience))
            return true
        } catch {
            if error.errno == .noReader {
                reportUnsupervised(service)
            } else {
                report("warning", service, "unable to \(step) supervise/control", error.errno)
            }
            return false
        }
    }

    /// For how many milliseconds a supervisor may leave its FIFO full.
    private static let fullPatience: UInt64 = 5000

    /// What the status of the service in the current directory is; nil when there is none, which is said.
    private mutating func look(at service: SvService) -> RunitStatus? {
        switch SvService.look(states) {
        case .status(let status): return status
        case .unsupervised: reportUnsupervised(service)
        case .trouble(let trouble, let errno): report("warning", service, trouble, errno)
        }
        return nil
    }

    /// Whether the service needs no more waiting: what was asked for has come, which is said, or cannot come any more.
    private mutating func isDone(with service: SvService) -> Bool {
        guard let status = look(at: service) else { return true }
        let isReached = action.isReached(status, since: start) {
            service.isAvailable(environment) { trouble, errno in
                SvRun.warn("\(trouble): \(errno.text)")
            }
        }
        if isReached { SvRun.write("ok: \(line(status, service.name, service))\n") }
        return isReached
    }

    private mutating func giveUp(_ service: SvService) {
        SvRun.write(action.kills ? "kill: " : "timeout: ")
        if let status = look(at: service) {
            SvRun.write(line(status, service.name, service))
            failures += 1
        }
        SvRun.write("\n")
        if action.kills, let kill = SvAction("kill", isScript: false, waits: false) {
            _ = control(service, kill)
        }
    }

    /// Prints the status of a service and its logger. Returns the exit code of an init script, for which that is all.
    private mutating func printStatus(_ service: SvService) -> Int32? {
        let status: RunitStatus
        switch SvService.look(states) {
        case .status(let found): status = found
        case .unsupervised:
            reportUnsupervised(service)
            return nil
        case .trouble(let trouble, let errno):
            report("warning", service, trouble, errno)
            return configuration.isScript ? ScriptCode.unknown : nil
        }
        SvRun.write(line(status, service.name, service))
        isLog = true
        do throws(SystemError) {
            try changeDirectory("log")
            SvRun.write("; ")
            if let log = look(at: service) { SvRun.write("\(line(log, "log", service))\n") }
        } catch {
            if error.errno == .noEntry {
                SvRun.write("\n")
            } else {
                SvRun.write("; ")
                report("warning", service, "unable to change directory", error.errno)
            }
        }
        isLog = false
        if !configuration.isScript { return nil }
        return status.hasProcess ? ScriptCode.running : ScriptCode.down
    }

    /// The exit codes of `status` that the Linux Standard Base gives init scripts.
    private enum ScriptCode {
        static let running: Int32 = 0
        static let down: Int32 = 3
        static let unknown: Int32 = 4
    }

    private func line(_ status: RunitStatus, _ name: ByteString, _ service: SvService) -> ByteString
    {
        var isNormallyUp = true
        do throws(SystemError) { isNormallyUp = try !exists("down") } catch {
            SvRun.warn("unable to stat \(service.name)/down: \(error.errno.text)")
        }
        return status.line(name, isNormallyUp: isNormallyUp, at: SvRun.now())
    }

    private mutating func reportUnsupervised(_ service: SvService) {
        if action.isExit {
            SvRun.write("ok: \(service.name): runsv not running\n")
        } else {
            report("fail", service, "runsv not running")
        }
    }

    private mutating func report(
        _ severity: ByteString, _ service: SvService, _ trouble: ByteString, _ errno: Errno? = nil
    ) {
        failures += 1
        let name: ByteString = isLog ? "\(service.name)/log" : service.name
        guard let errno else { return SvRun.write("\(severity): \(name): \(trouble)\n") }
        SvRun.write("\(severity): \(name): \(trouble): \(errno.text)\n")
    }

    private static func write(_ text: ByteString) { write(text, Standard.output) }

    private static func warn(_ text: ByteString) { write("warning: \(text)\n", Standard.error) }

    /// Nobody is left to tell when that fails. A name has no line end, and nothing for a terminal, in it.
    private static func write(_ text: ByteString, _ descriptor: Int32) {
        let end: ByteString = text.bytes.last == UInt8(ascii: "\n") ? "\n" : ""
        let line = end.isEmpty ? text : ByteString(text.bytes.dropLast())
        do throws(SystemError) {
            try writeAll(descriptor, Array(line.visible.bytes + end.bytes))
        } catch {}
    }

    private static func now() -> TAI64N {
        let (seconds, nanoseconds) = wallClock()
        return TAI64N(unixSeconds: seconds, nanoseconds: nanoseconds)
    }
}
