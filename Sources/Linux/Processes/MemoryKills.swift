import Bytes

/// Counts the processes that the kernel kills for lack of memory: those of this process's control group and of the groups
/// in it, and, where that is the group of the whole machine, all. cgroups(7), proc_vmstat(5).
public struct MemoryKills {
    private let file: ByteString
    /// How many there were when last asked.
    private var known: Int
    /// How many of them nobody has asked for yet, and until when they are news.
    private var unclaimed = 0
    private var limit = Instant.now

    /// For how many milliseconds one is news: another process that was killed a little later is no other's.
    private static let patience: UInt64 = 1000

    /// Begins to count. Nil where the kernel does not tell.
    public init?() {
        do throws(SystemError) {
            let group = try ControlGroup.own().path
            // Only the first of all groups has no events.
            let isWhole = try !exists("\(group)/cgroup.events")
            self.init(counting: isWhole ? "/proc/vmstat" : "\(group)/memory.events")
        } catch { return nil }
    }

    /// Counts by the line `oom_kill` of a file.
    init?(counting file: ByteString) {
        self.file = file
        guard let count = MemoryKills.count(in: file) else { return nil }
        known = count
    }

    /// Whether a process has been killed lately that no call told of.
    public mutating func claim() -> Bool {
        guard let count = MemoryKills.count(in: file) else { return false }
        if count > known {
            unclaimed = (Instant.now < limit ? unclaimed : 0) + count - known
            limit = .now.advanced(milliseconds: MemoryKills.patience)
        }
        known = count
        guard unclaimed > 0, Instant.now < limit else { return false }
        unclaimed -= 1
        return true
    }

    private static func count(in file: ByteString) -> Int? {
        do throws(SystemError) {
            return ControlGroup.value(of: "oom_kill", in: try contents(of: file, limit: 1 << 16))
        } catch { return nil }
    }
}
