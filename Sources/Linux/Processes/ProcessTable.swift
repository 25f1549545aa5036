import Bytes

/// The processes that this one is responsible for, read from /proc at the moment it is needed.
public struct ProcessTable {
    private let parents: [ProcessID: ProcessID]

    /// A table of process ids with their parents, for tests.
    init(parents: [ProcessID: ProcessID]) { self.parents = parents }

    /// Every process that /proc shows. Throws when /proc is not mounted.
    public init() throws(SystemError) {
        var parents: [ProcessID: ProcessID] = [:]
        for name in try entries(of: "/proc") {
            let (value, length) = scanDecimal(name.bytes)
            guard length > 0, length == name.count else { continue }
            // A process may end between being listed and being read.
            do throws(SystemError) {
                let status = try contents(of: "/proc/\(name)/stat", limit: 4096)
                parents[ProcessID(value)] = ProcessTable.parent(in: status)
            } catch {}
        }
        guard !parents.isEmpty else { throw SystemError("open", .noEntry, subject: "/proc") }
        self.parents = parents
    }

    /// The processes below `ancestor` that are neither one of `spared` nor below one. For PID 1 of a
    /// pid namespace all others count as below it, also those that entered the namespace.
    public func strays(of ancestor: ProcessID, sparing spared: [ProcessID]) -> [ProcessID] {
        parents.keys.filter { pid in
            guard pid != ancestor else { return false }
            var next = pid
            // As deep as there are processes: a table read while it changed could hold a circle.
            for _ in 0..<parents.count {
                if spared.contains(next) { return false }
                if next == ancestor { return true }
                guard let parent = parents[next], parent > 0 else { return ancestor == 1 }
                next = parent
            }
            return false
        }
    }

    /// Whether a process is below another one, by what /proc says of each on the way up.
    public static func isDescendant(_ pid: ProcessID, of ancestor: ProcessID) -> Bool {
        var next = pid
        for _ in 0..<64 where next > 1 {
            if next == ancestor { return true }
            do throws(SystemError) {
                next = parent(in: try contents(of: "/proc/\(next)/stat", limit: 4096))
            } catch { return false }
        }
        return false
    }

    /// The processes of a session.
    public func members(ofSession session: ProcessID) throws(SystemError) -> [ProcessID] { [] }

    /// The name of a process, as ps(1) shows it in parentheses; a question mark when it is gone.
    public static func name(of pid: ProcessID) -> ByteString {
        do throws(SystemError) {
            let bytes = try contents(of: "/proc/\(pid)/comm", limit: 64)
            return ByteString(bytes.dropLast())
        } catch { return "?" }
    }

    /// The fourth field of /proc/PID/stat; the second, in parentheses, may contain anything.
    static func parent(in status: [UInt8]) -> ProcessID {
        guard let parenthesis = status.lastIndex(of: UInt8(ascii: ")")) else { return 0 }
        let fields = status[parenthesis...].split(separator: UInt8(ascii: " "))
        return fields.count > 2 ? ProcessID(scanDecimal(fields[2]).value) : 0
    }
}
