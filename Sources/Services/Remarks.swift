import Bytes
import Formats

/// What there is to say.
extension Remark {
    static func complaint(_ complaint: Complaint) -> Remark {
        Remark(.warning, complaint.text, errno: complaint.errno)
    }

    static func refused(_ name: ByteString, errno: Int32) -> Remark {
        Remark(.warning, "unable to fork for \(name)", errno: errno)
    }

    /// In the words of the original supervise, whose child it was that could not go on.
    static func notStarted(
        _ id: ServiceID, _ service: Service, _ file: ByteString, errno: Int32
    ) -> Remark {
        let (severity, text): (Severity, ByteString) =
            switch service.standing {
            case .single: (.fatal, "unable to start \(service.name)/\(file)")
            case .main, .logger: (.warning, "unable to start \(service.name)/\(file)")
            case .command: (.fatal, "unable to run \(service.name)")
            }
        return Remark(severity, text, errno: errno, program: id)
    }

    static func replaced(_ name: ByteString, pid: Int32) -> Remark {
        let process: ByteString = pid == 0 ? "" : " (pid \(pid))"
        return Remark(
            .warning,
            "\(name) is another directory now, ending the old service\(process) before starting the new"
        )
    }

    static func stillThere(_ name: ByteString, pid: Int32) -> Remark {
        Remark(.warning, "the old \(name) (pid \(pid)) has not ended yet, the new one waits for it")
    }

    static let directoryReplaced = Remark(
        .warning, "the service directory is another one now, supervising what is in it")

    static func gone(_ name: ByteString) -> Remark {
        Remark(
            .warning, "still supervising \(name), which is not in the service directory any more")
    }

    static func killing(_ names: [ByteString], after nanoseconds: UInt64) -> Remark {
        let tenths = nanoseconds / 100_000_000
        let list = ByteString(names, joinedBy: ", ")
        return Remark(
            .warning, "still up after \(tenths / 10).\(tenths % 10) seconds, killing: \(list)")
    }

    /// What there is to say of what became of a service; nil where that is not worth a line. Of failures in a row the
    /// first is told, then the second, the fourth, the eighth.
    static func of(
        _ report: ServiceReport, _ service: Service, _ definition: ServiceDefinition
    ) -> Remark? {
        let name = service.name
        let machine = service.machine
        switch report {
        case .ended(let death, let lived, let next):
            if death.startError != 0 || machine.isExpected { return nil }
            if RestartPolicy.isSuccess(death, definition) { return nil }
            let count = machine.history.failures
            guard count & (count - min(count, 1)) == 0 else { return nil }
            let times: ByteString = count < 2 ? "" : ", \(count) times in a row"
            var then: ByteString = "not starting it again"
            if let next {
                let delay: ByteString = next < 50_000_000 ? "" : " in \(seconds(next)) seconds"
                then = "starting it again\(delay)"
            }
            return Remark(
                .warning,
                "\(name) \(end(death)) after \(seconds(lived)) seconds\(times), \(then)")
        case .failed:
            var last: ByteString = ""
            if let death = machine.lastDeath { last = ": it \(end(death))" }
            return Remark(
                .warning,
                "\(name) has failed, \(machine.reason.words), and is not started again\(last)")
        case .killed:
            return Remark(.warning, "\(name) (pid \(machine.pid)) did not end in time, killing it")
        case .late: return Remark(.warning, "\(name) is not ready in time")
        case .silent:
            return Remark(
                .warning, "\(name) (pid \(machine.pid)) gave no sign of life in time, ending it")
        }
    }

    private static func end(_ death: Death) -> ByteString {
        if death.ranOutOfMemory { return "was killed by the kernel, for lack of memory," }
        return death.signal == 0
            ? "ended with exit code \(death.exitCode)" : "was ended by signal \(death.signal)"
    }

    private static func seconds(_ nanoseconds: UInt64) -> ByteString {
        let tenths = nanoseconds / 100_000_000
        return "\(tenths / 10).\(tenths % 10)"
    }

    static func startingWithout(_ names: [ByteString]) -> Remark {
        let list = names.isEmpty ? "all services" : ByteString(names, joinedBy: ", ")
        return Remark(.warning, "starting the command, though not ready in time: \(list)")
    }

    static let limitReached = Remark(.warning, "the time to stop is over, killing all that is left")
}

extension StatusDetails.Reason {
    /// For people.
    public var words: ByteString {
        switch self {
        case .none: "no reason"
        case .asked: "as asked"
        case .ended: "it ended"
        case .notReady: "not ready in time"
        case .tooManyRestarts: "too many restarts"
        case .permanent: "it says that it cannot run"
        case .notExecutable: "it cannot be executed"
        case .watchdog: "no sign of life"
        case .outOfMemory: "out of memory"
        case .dependency: "something it needs is missing or has failed"
        case .connection: "nobody has connected"
        }
    }
}
