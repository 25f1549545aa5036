import Bytes
import Commands
import Linux

/// What tells a machine of its own from a container.
public enum MachineFacts {
    /// Whether this process is the first of a whole machine, whose end would be the kernel's: process 1 of the first
    /// pid namespace. `container=NAME` in the environment says that it is not to behave so.
    public static func isProcessOne(_ environment: Environment) -> Bool {
        guard CurrentProcess.id == 1 else { return false }
        if let name = environment["container"], !name.isEmpty, name != "none" { return false }
        guard isKernelThread(2) else { return false }
        if let answer = isInFirstNamespace { return answer }
        // Nothing has mounted /proc. It is looked at, and goes again if this is a container.
        do throws(SystemError) { try mount("proc", on: "/proc", type: "proc") } catch {
            return true
        }
        if isInFirstNamespace != false { return true }
        do throws(SystemError) { try unmount("/proc") } catch {}
        return false
    }

    /// Whether this process, which is not the first, is in the namespace of the machine's first.
    public static var isInMachine: Bool { isInFirstNamespace == true }

    /// The number that the kernel gives to the first pid namespace, PROC_PID_INIT_INO; nil without /proc.
    private static var isInFirstNamespace: Bool? {
        do throws(SystemError) {
            return try readLink("/proc/self/ns/pid") == "pid:[4026531836]"
        } catch { return nil }
    }

    /// A thread of the kernel is in no process group. Process 2 of a machine is one; in a container there is none yet.
    private static func isKernelThread(_ pid: ProcessID) -> Bool { processGroup(of: pid) == 0 }
}
