import Bytes
import Commands
import Formats
import Linux
import Services

/// What can be told of a service from its files, for a list.
public struct ServiceReport: Sendable {
    /// What was found.
    public enum Finding: Sendable {
        /// What its supervisor says of it.
        case record(StatusRecord)
        /// That it has none.
        case unsupervised
        /// That its status file is none.
        case badStatus
        /// Why nothing can be told.
        case error(Errno)
    }

    /// What people call it.
    public let name: ByteString
    /// What was found.
    public let finding: Finding

    /// Reads the files of the service in the directory `path`, which may be in one of `states`.
    public init(
        name: ByteString, path: ByteString, states: StatePlaces, in place: Directory = .current
    ) {
        self.name = name
        finding = ServiceReport.find(path, states, in: place)
    }

    private static func find(_ path: ByteString, _ states: StatePlaces, in place: Directory)
        -> Finding
    {
        do throws(SystemError) {
            let directory = try openFile(path, .place, in: place)
            let supervise = try SuperviseDirectory(of: Directory(directory), or: states)
            if try !supervise.isSupervised() { return .unsupervised }
            let file = try supervise.openStatus()
            return try StatusRecord(readFrom: file).map { .record($0) } ?? .badStatus
        } catch {
            return error.errno == .noEntry ? .unsupervised : .error(error.errno)
        }
    }

    /// The record; nil when there is none.
    public var record: StatusRecord? {
        if case .record(let record) = finding { return record }
        return nil
    }

    /// The word for its state, or what is wrong.
    public var state: ByteString {
        switch finding {
        case .record(let record): ByteString(record.stateWord)
        case .unsupervised: "unsupervised"
        case .badStatus: "bad status"
        case .error(let errno): ByteString(errno.text)
        }
    }

    /// How svls ends for it, in the manner of an init script's `status`: 0 up and ready, or done; 1 failed; 3 anything
    /// else that a supervised service can be; 4 not known.
    public var exitCode: Int32 {
        guard let record else { return 4 }
        if record.meets(.ready) { return 0 }
        return record.state == .failed ? 1 : 3
    }

    /// What keeps it from having been ready for `seconds`; nil when nothing does.
    public func complaint(readyFor seconds: UInt64, at now: TAI64N) -> ByteString? {
        guard let record, let since = record.readyTime else {
            let reason = record?.details?.reason.words.map { ", \($0)" as ByteString } ?? ""
            return "\(state)\(reason)"
        }
        let (end, carry) = since.seconds.addingReportingOverflow(seconds)
        let isLong = !carry && TAI64N(label: end, nanoseconds: since.nanoseconds) <= now
        if isLong || seconds == 0 { return nil }
        return "ready for less than \(seconds) seconds"
    }

    /// The object of `svls --json`.
    public var json: JSONObject {
        var object = JSONObject()
        let details = record?.details
        object.add("name", name)
        if case .error = finding {
            object.add("state", "unknown")
        } else {
            object.add("state", state)
        }
        object.add("pid", number: record.flatMap { $0.pid == 0 ? nil : Int($0.pid) })
        object.add("since", record?.since.utc)
        object.add("want", record?.wantWord)
        object.add("ready", isTrue: record?.meets(.ready) ?? false)
        object.add("readySince", record?.readyTime?.utc)
        object.add("lastExit", object: details?.lastEnd.map { end(ExitStatus(raw: $0)) })
        object.add("starts", number: details.map { Int($0.starts) })
        object.add("reason", details?.reason.words.map { ByteString($0) })
        object.add("text", details.flatMap { $0.text.isEmpty ? nil : $0.text })
        if case .error(let errno) = finding {
            object.add("error", ByteString(errno.text))
        } else {
            object.add("error", nil)
        }
        return object
    }

    private func end(_ status: ExitStatus) -> JSONObject {
        var object = JSONObject()
        object.add("code", number: status.exitCode.map { Int($0) })
        object.add("signal", number: status.signal.map { Int($0.number) })
        return object
    }
}

extension StatusRecord {
    /// `paused`, or the word for the state.
    fileprivate var stateWord: StaticString {
        isPaused && pid != 0 ? "paused" : state.word
    }

    fileprivate var wantWord: ByteString? {
        switch want {
        case StatusRecord.wantsUp: "up"
        case StatusRecord.wantsDown: "down"
        case StatusRecord.wantsNothing: "once"
        default: nil
        }
    }
}
