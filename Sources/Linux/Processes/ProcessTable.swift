import Bytes

/// The processes that this one is responsible for, read from /proc at the moment it is needed.
public struct ProcessTable {
    /// What a process belongs to. proc_pid_stat(5).
    struct Links: Equatable {
        var parent: ProcessID = 0
        var group: ProcessID = 0
        var session: ProcessID = 0
    }

    private let processes: [ProcessID: Links]

    /// A table of what processes belong to, for tests.
    init(_ processes: [ProcessID: Links]) { self.processes = processes }

    /// Every process that /proc shows, or the first `limit`. Throws when /proc is not mounted.
    public init(limit: Int = .max) throws(SystemError) {
        var processes: [ProcessID: Links] = [:]
        for name in try entries(of: "/proc") where processes.count < limit {
            let (value, length) = scanDecimal(name.bytes)
            guard length > 0, length == name.count else { continue }
            // A process may end between being listed and being read.
            do throws(SystemError) {
                let status = try contents(of: "/proc/\(name)/stat", limit: 4096)
                processes[ProcessID(value)] = ProcessTable.links(in: status)
            } catch {}
        }
        guard !processes.isEmpty else { throw SystemError("open", .noEntry, subject: "/proc") }
        self.processes = processes
    }

    /// The processes below `ancestor` that are neither one of `spared` nor below one. For PID 1 of a
    /// pid namespace all others count as below it, also those that entered the namespace.
    public func strays(of ancestor: ProcessID, sparing spared: [ProcessID]) -> [ProcessID] {
        processes.keys.filter { pid in
            guard pid != ancestor else { return false }
            var next = pid
            // As deep as there are processes: a table read while it changed could hold a circle.
            for _ in 0..<processes.count {
                if spared.contains(next) { return false }
                if next == ancestor { return true }
                guard let parent = processes[next]?.parent, parent > 0 else { return ancestor == 1 }
                next = parent
            }
            return false
        }
    }

    /// When a process was started, on the clock `sinceBoot`, in steps of a hundredth of a second; nil when it is gone, or
    /// only waits to be reaped.
    public static func start(of pid: ProcessID) -> Instant? {
        do throws(SystemError) {
            let status = try contents(of: "/proc/\(pid)/stat", limit: 4096)
            guard let parenthesis = status.lastIndex(of: UInt8(ascii: ")")) else { return nil }
            let fields = status[parenthesis...].split(separator: UInt8(ascii: " "), maxSplits: 21)
            guard fields.count > 20, fields[1].first != UInt8(ascii: "Z") else { return nil }
            return Instant(nanoseconds: UInt64(scanDecimal(fields[20]).value) * 10_000_000)
        } catch { return nil }
    }

    /// The parent of a process, by what /proc says; 0 when it is gone.
    public static func parent(of pid: ProcessID) -> ProcessID {
        do throws(SystemError) {
            return links(in: try contents(of: "/proc/\(pid)/stat", limit: 4096)).parent
        } catch { return 0 }
    }

    /// Whether a process is below another one, by what /proc says of each on the way up.
    public static func isDescendant(_ pid: ProcessID, of ancestor: ProcessID) -> Bool {
        var next = pid
        for _ in 0..<64 where next > 1 {
            if next == ancestor { return true }
            next = parent(of: next)
        }
        return false
    }

    /// What a program that ran as `pid` has left behind, or still has around it, `pid` not among it: the processes
    /// of its session and of its process group, if it had its own, and all that are below it or one of those, and the
    /// members of their sessions and groups in turn. Neither one of `spared` nor what is below one is looked at. Ids of
    /// sessions and groups are not given to a new process while one is in them, so that these are no strangers; but
    /// ask before `pid` is reaped or soon after, or it may be somebody else's.
    public func remains(of pid: ProcessID, sparing spared: [ProcessID] = []) -> [ProcessID] {
        var members: [ProcessID: [ProcessID]] = [:]
        for (one, links) in processes {
            for origin in Set([links.parent, links.group, links.session]) where origin > 1 {
                members[origin, default: []].append(one)
            }
        }
        var found: Set<ProcessID> = [pid]
        var pending = [pid]
        while let next = pending.popLast() {
            for one in members[next] ?? [] where !spared.contains(one) {
                if found.insert(one).inserted { pending.append(one) }
            }
        }
        found.remove(pid)
        return Array(found)
    }

    /// The name of a process, as ps(1) shows it in parentheses; a question mark when it is gone.
    public static func name(of pid: ProcessID) -> ByteString {
        do throws(SystemError) {
            let bytes = try contents(of: "/proc/\(pid)/comm", limit: 64)
            return ByteString(bytes.dropLast())
        } catch { return "?" }
    }

    /// The fields from the fourth of /proc/PID/stat; the second, in parentheses, may contain anything.
    static func links(in status: [UInt8]) -> Links {
        guard let parenthesis = status.lastIndex(of: UInt8(ascii: ")")) else { return Links() }
        let fields = status[parenthesis...].split(separator: UInt8(ascii: " "), maxSplits: 5)
        func number(_ index: Int) -> ProcessID {
            // Ids of other pid namespaces are shown as zero, and there is no session of -1.
            index < fields.count ? ProcessID(clamping: scanDecimal(fields[index]).value) : 0
        }
        return Links(parent: number(2), group: number(3), session: number(4))
    }
}
