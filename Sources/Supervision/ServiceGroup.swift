import Bytes
import Linux

/// The control group of a service that is to be ended with all that it leaves behind. Where none can be made, its
/// session does, and what descends from its process.
final class ServiceGroup {
    private let group: ControlGroup
    /// Where a process writes itself to enter it.
    private let entrance: Descriptor
    private var kills: Int?

    /// Makes the group of the service with that name below this process's own.
    init(_ name: ByteString) throws(SystemError) {
        // Another supervisor in the same group may have a service of that name.
        group = try ControlGroup.own().makeGroup("\(name)-\(CurrentProcess.id)")
        entrance = try openFile("\(group.path)/cgroup.procs", .write)
        kills = outOfMemoryKills
    }

    deinit {
        // One that still holds a process stays, as the process does.
        do throws(SystemError) { try group.remove() } catch {}
    }

    /// The number of the file that a new process enters by.
    var entranceNumber: Int32 { entrance.number }

    private var outOfMemoryKills: Int? {
        do throws(SystemError) { return try group.outOfMemoryKills() } catch { return nil }
    }

    /// Whether the kernel has killed one of its processes for lack of memory since this was asked last; nil where it does
    /// not count those of this group.
    func hasRunOutOfMemory() -> Bool? {
        guard let now = outOfMemoryKills else { return nil }
        defer { kills = now }
        return now > kills ?? 0
    }

    /// Sends a signal to all in it; false where that is not possible.
    func send(_ signal: Signal) -> Bool {
        do throws(SystemError) {
            if signal == .kill { try group.kill() } else { try group.signal(signal) }
            return true
        } catch { return false }
    }
}
