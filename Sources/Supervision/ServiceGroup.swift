import Bytes
import Linux

/// The control group of a service that is to be ended with all that it leaves behind. Where none can be made, its
/// session does, and what descends from its process.
final class ServiceGroup {
    private let group: ControlGroup
    /// Where a process writes itself to enter it, or a group in it.
    private var entrance: Descriptor
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

    /// The number of the file that the next process enters by. An earlier one may have made groups with limits in this
    /// one, which takes no processes of its own then: the next has a new group in it.
    func prepareEntrance() -> Int32 {
        do throws(SystemError) {
            if try group.hasControllersBelow() {
                // Those of earlier ones, as far as they have ended.
                group.removeIdleGroups("")
                let inner = try group.makeGroup("start-\(Instant.now.nanoseconds)")
                entrance = try openFile("\(inner.path)/cgroup.procs", .write)
            }
        } catch {
            // The process itself learns whether it may enter, and others by it.
        }
        return entrance.number
    }

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
