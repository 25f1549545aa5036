import Bytes
import Formats
import Linux
import Services

/// A process that an earlier supervisor of a service started and left running, as its status file tells.
struct Predecessor: Equatable {
    let pid: ProcessID
    let since: TAI64N
    let isReady: Bool

    /// In nanoseconds: the time of day may have been corrected a little, and it is looked at after the start.
    private static let tolerance: Int64 = 500_000_000

    /// The one that another image of this process found.
    init(pid: ProcessID, since: TAI64N, isReady: Bool) {
        self.pid = pid
        self.since = since
        self.isReady = isReady
    }

    /// What a status file tells of; nil when there is no process of `run` in it.
    init?(_ record: StatusRecord?) {
        guard let record, record.pid > 1, record.pid <= UInt32(Int32.max) else { return nil }
        switch record.details?.state {
        case nil, .starting, .up, .stopping: break
        default: return nil
        }
        pid = ProcessID(record.pid)
        since = record.since
        isReady = record.details?.isReady ?? false
    }

    /// Whether that process is still there, and not another one that has its id by now: it was started when the file
    /// says so, or else it works in the service's directory.
    func isThere(in directory: FileStatus.Identity) -> Bool {
        guard pid != CurrentProcess.id, let start = ProcessTable.start(of: pid) else {
            return false
        }
        let now = Instant.sinceBoot.nanoseconds
        let age = Int64(clamping: now) - Int64(clamping: start.nanoseconds)
        let (seconds, nanoseconds) = wallClock()
        let told =
            Int64(clamping: (seconds &- since.unixSeconds)) &* 1_000_000_000
            &+ Int64(nanoseconds) &- Int64(since.nanoseconds)
        if (told &- age).magnitude <= UInt64(Predecessor.tolerance) { return true }
        do throws(SystemError) {
            return try status(of: "/proc/\(pid)/cwd").identity == directory
        } catch { return false }
    }

    /// The pipe that a supervisor made and gave it as that descriptor; nil when there is none. Both ends are opened anew.
    func pipe(at number: Int) -> LogPipe? {
        do throws(SystemError) {
            // The process may put any file there, at any time: what is looked at must be what is opened.
            let found = try openFile("/proc/\(pid)/fd/\(number)", .path)
            let path: ByteString = "/proc/self/fd/\(found.number)"
            guard LogPipe.isOne(try status(of: found.number)),
                try readLink(path).hasPrefix("pipe:")
            else { return nil }
            let reader = try openFile(path, .read)
            let writer = try openFile(path, .write)
            // Those that inherit them expect to wait.
            try setNonBlocking(reader.number, false)
            try setNonBlocking(writer.number, false)
            return LogPipe(adopting: reader, writer: writer)
        } catch { return nil }
    }
}
