import Bytes
import CLinux

/// A process id.
public typealias ProcessID = Int32

/// How a process ended.
public struct ExitStatus: Equatable, Sendable {
    /// The status of wait(2), as logged by tcpserver.
    public let raw: Int32

    /// Wraps a status of wait(2).
    public init(raw: Int32) { self.raw = raw }

    /// The exit code, if it exited by itself.
    public var exitCode: Int32? { signalNumber == 0 ? raw >> 8 & 0xff : nil }
    /// The signal that killed it, if one did.
    public var signal: Signal? { signalNumber == 0 ? nil : Signal(signalNumber) }
    /// As a shell reports it: the exit code, or 128 and the signal.
    public var shellCode: Int32 { exitCode ?? 128 + signalNumber }
    /// In the lowest seven bits; the eighth tells of a core file.
    private var signalNumber: Int32 { raw & 0x7f }
}

/// How a child differs from its parent. Everything not named here is inherited.
public struct ChildSetup: Sendable {
    /// The child's descriptor i becomes a copy of `descriptors[i]`; -1 leaves it.
    public var descriptors: [Int32] = []
    /// One more, at any number: `target` becomes a copy of `source`.
    public var otherDescriptor: (source: Int32, target: Int32) = (-1, -1)
    /// More than 0 to keep from it every descriptor of this number and up, whatever it is; those of
    /// `descriptors` are lower. Starting it then costs the same however many there are. Only above a
    /// `descriptorAboveAll`, which is not to be had everywhere.
    public var closeFrom: Int32 = 0
    /// Where it starts: an open directory, or -1 for the parent's.
    public var directory: Int32 = -1
    /// Make it a session leader.
    public var newSession = false
    /// Make it a process group leader.
    public var newProcessGroup = false
    /// Make its group the foreground one of this terminal, or -1.
    public var terminal: Int32 = -1
    /// The open cgroup.procs of the control group that it enters, or -1. cgroups(7).
    public var controlGroup: Int32 = -1
    /// Whether the value of its variable LISTEN_PID, at least ten bytes long, is replaced by its process id.
    public var knowsItself = false
    /// Soft and hard RLIMIT_NOFILE to give back, if the parent raised its own.
    public var descriptorLimit: (soft: UInt64, hard: UInt64)?
    /// Signals whose disposition the parent changed, to be set back to the default.
    public var defaultSignals: SignalSet = []
    /// What it has blocked.
    public var blockedSignals: SignalSet = []

    /// A child like its parent, with no signal blocked.
    public init() {}
}

/// A child that could not be started, and the step that failed.
public struct SpawnError: Error {
    /// The failed call.
    public let cause: SystemError
    /// Whether the kernel refused a new process; else a step in the child failed, mostly execve.
    public let isFork: Bool
}

/// Starts a program without copying this process: vfork(2), the steps of `setup`, execve(2). When it
/// returns, the program is running; when it throws, there is no child.
public func spawn(_ invocation: Invocation, _ setup: ChildSetup = ChildSetup())
    throws(SpawnError) -> ProcessID
{ try spawn(invocation.prepared, setup) }

/// Starts a program that was prepared before.
public func spawn(_ invocation: PreparedInvocation, _ setup: ChildSetup = ChildSetup())
    throws(SpawnError) -> ProcessID
{
    var failed: ProcessID = 0
    var numbers = setup.descriptors
    do throws(SystemError) {
        return try Kernel.call("spawn", invocation.program, retry: false) { () -> Int32 in
            invocation.withCVectors { paths, arguments, environment in
                numbers.withUnsafeMutableBufferPointer { descriptors in
                    var request = spawnRequest(setup, descriptors)
                    request.paths = paths
                    request.arguments = arguments
                    request.environment = environment
                    defer { failed = request.pid }
                    return cl_spawn(&request)
                }
            }
        }
    } catch {
        throw SpawnError(cause: error, isFork: failed <= 0)
    }
}

func spawnRequest(_ setup: ChildSetup, _ descriptors: UnsafeMutableBufferPointer<Int32>)
    -> cl_spawn_request
{
    var request = cl_spawn_request()
    request.descriptors = descriptors.baseAddress
    request.descriptor_count = Int32(descriptors.count)
    request.other_source = setup.otherDescriptor.source
    request.other_target = setup.otherDescriptor.target
    request.close_from = setup.closeFrom
    request.directory = setup.directory
    request.new_session = setup.newSession ? 1 : 0
    request.new_process_group = setup.newProcessGroup ? 1 : 0
    request.terminal = setup.terminal
    request.control_group = setup.controlGroup
    request.fill_listen_pid = setup.knowsItself ? 1 : 0
    if let limit = setup.descriptorLimit {
        request.restore_descriptor_limit = 1
        request.descriptor_limit_soft = limit.soft
        request.descriptor_limit_hard = limit.hard
    }
    request.default_signals = setup.defaultSignals.rawValue
    request.signal_mask = setup.blockedSignals.rawValue
    return request
}

/// What fork(2) returns where.
public enum ForkResult {
    /// In the child.
    case child
    /// In the parent, with the child's id.
    case parent(ProcessID)
}

/// Copies this process. For children that have more to do than `spawn` can; they end with `exitNow`
/// or an exec. fork(2).
public func forkProcess() throws(SystemError) -> ForkResult {
    let pid = try Kernel.call("fork") { fork() }
    return pid == 0 ? .child : .parent(pid)
}

/// Ends this process at once, running no handlers. exit_group(2). Where a filter forbids that, the C
/// libraries' _exit tries for ever; this ends the process by a trap.
public func exitNow(_ code: Int32) -> Never {
    _ = cl_syscall(Int(SYS_exit_group), Int(code), 0, 0, 0)
    fatalError("unable to end")
}

/// What a wait found.
public enum WaitResult: Equatable {
    /// A child ended and has been reaped.
    case ended(ProcessID, ExitStatus)
    /// A child that had asked to be traced stopped, and has been let go. It lives; there may be more to
    /// find.
    case resumed(ProcessID)
    /// There are children, none of them has ended.
    case nothingYet
    /// There are no children at all.
    case noChildren
}

/// Reaps one child, any or the one given; without `block` it does not wait. With `block` a child that
/// stopped is resumed and waited for again, so that the result is an end. waitpid(2).
public func reap(_ pid: ProcessID = -1, block: Bool = false) throws(SystemError) -> WaitResult {
    while true {
        let result = try waitOnce(pid, block: block)
        guard block, case .resumed = result else { return result }
    }
}

/// What a wait for any child would find, without reaping it or letting it go: `resumed` is for one that stopped.
/// waitid(2) with WNOWAIT.
public func peekAtChildren() throws(SystemError) -> WaitResult {
    // siginfo_t: 128 bytes, the signal, an error and the code, then from 16 on the process, its user and its status.
    try withUnsafeTemporaryAllocation(byteCount: 128, alignment: 8) {
        (info) throws(SystemError) -> WaitResult in
        info.initializeMemory(as: UInt8.self, repeating: 0)
        let address = Int(bitPattern: info.baseAddress)
        do throws(SystemError) {
            _ = try Kernel.call("waitid") {
                cl_waitid(0, address, WEXITED | WNOHANG | waitWithoutReaping)
            }
        } catch {
            if error.errno == .noChild { return .noChildren }
            throw error
        }
        let pid = info.load(fromByteOffset: 16, as: ProcessID.self)
        let value = info.load(fromByteOffset: 24, as: Int32.self)
        if pid == 0 { return .nothingYet }
        // CLD_EXITED, CLD_KILLED, CLD_DUMPED.
        switch info.load(fromByteOffset: 8, as: Int32.self) {
        case 1: return .ended(pid, ExitStatus(raw: (value & 0xff) << 8))
        case 2: return .ended(pid, ExitStatus(raw: value))
        case 3: return .ended(pid, ExitStatus(raw: value | 0x80))
        default: return .resumed(pid)
        }
    }
}

/// Whether a process is a child of this one, whose end a wait will tell. waitid(2) with WNOWAIT.
public func isChild(_ pid: ProcessID) -> Bool {
    guard pid > 0 else { return false }
    do throws(SystemError) {
        _ = try Kernel.call("waitid") { cl_waitid(pid, 0, WEXITED | WNOHANG | waitWithoutReaping) }
        return true
    } catch { return false }
}

// WNOWAIT.
private let waitWithoutReaping: Int32 = 0x0100_0000

/// The one place that decides what a wait status means: a stop is no end.
private func waitOnce(_ pid: ProcessID, block: Bool) throws(SystemError) -> WaitResult {
    var raw: Int32 = 0
    do {
        let found = try Kernel.call("waitpid") { waitpid(pid, &raw, block ? 0 : WNOHANG) }
        if found == 0 { return .nothingYet }
        guard let stop = StopSignal(status: raw) else {
            return .ended(found, ExitStatus(raw: raw))
        }
        resume(found, after: stop)
        return .resumed(found)
    } catch {
        if error.errno == .noChild { return .noChildren }
        throw error
    }
}

/// The signal in the status of a child that stopped.
private struct StopSignal {
    let number: Int32
    /// Whether the stop announces an event of ptrace(2) and not a signal.
    let isEvent: Bool

    /// Nil if the status is that of an end. WIFSTOPPED and WSTOPSIG of wait(2).
    init?(status: Int32) {
        guard status & 0xff == 0x7f else { return nil }
        number = status >> 8 & 0x7f
        isEvent = status >> 16 != 0
    }
}

/// Stops tracing a child that has made this process its tracer by PTRACE_TRACEME: only then is a stop
/// reported. It gets the signal that stopped it, as it would have without a tracer. ptrace(2)
/// PTRACE_DETACH.
private func resume(_ pid: ProcessID, after stop: StopSignal) {
    let isFromExec = stop.number == SIGTRAP && !hasOrigin(pid)
    let signal = stop.isEvent || isFromExec ? 0 : stop.number
    do throws(SystemError) {
        _ = try Kernel.call("ptrace") {
            cl_syscall(Int(SYS_ptrace), ptraceDetach, Int(pid), 0, Int(signal))
        }
    } catch {
        // It was killed meanwhile, which the next wait tells; or this process may not use ptrace, and
        // the child stays as it is until it is killed.
    }
}

// An enumeration in one libc and macros in the other.
private let (ptraceDetach, ptraceGetSignalInfo) = (17, 0x4202)

/// Whether the signal that stopped a traced child came from the processor or the child itself. The one
/// by which the kernel announces an exec is like one of kill(2), with a code of 0.
private func hasOrigin(_ pid: ProcessID) -> Bool {
    // siginfo_t: 128 bytes, the signal, an error, and the code.
    withUnsafeTemporaryAllocation(byteCount: 128, alignment: 8) { info in
        info.initializeMemory(as: UInt8.self, repeating: 0)
        let result = cl_syscall(
            Int(SYS_ptrace), ptraceGetSignalInfo, Int(pid), 0, Int(bitPattern: info.baseAddress))
        return result == 0 && info.load(fromByteOffset: 8, as: Int32.self) != 0
    }
}

/// A descriptor that becomes readable when a child ends. pidfd_open(2), which a Linux before 5.3 and
/// some filters of system calls do not have.
public func openProcess(_ pid: ProcessID) throws(SystemError) -> Descriptor {
    let number = try Kernel.call("pidfd_open") {
        cl_syscall(Int(SYS_pidfd_open), Int(pid), 0, 0, 0)
    }
    return Descriptor(owning: Int32(number))
}

/// Sends a signal to a process, or to a group when negative. kill(2).
public func send(_ signal: Signal, to pid: ProcessID) throws(SystemError) {
    _ = try Kernel.call("kill") { kill(pid, signal.number) }
}

/// Waits for a signal that is not blocked, for ever if all are. pause(2).
public func pause() { _ = CLinux.pause() }

/// The process group of a process; 0 when it is none of this namespace's, as for threads of the kernel, and -1 when
/// there is no such process. getpgid(2).
public func processGroup(of pid: ProcessID) -> ProcessID { getpgid(pid) }

/// Facts about this process.
public enum CurrentProcess {
    /// Its id.
    public static var id: ProcessID { getpid() }
    /// Its parent's id.
    public static var parent: ProcessID { getppid() }
    /// The path that it was executed by, as execve(2) was given it. getauxval(3).
    public static var executedPath: ByteString? {
        UnsafePointer<CChar>(bitPattern: getauxval(UInt(AT_EXECFN))).map {
            ByteString(cString: $0)
        }
    }
    /// The words that it was started with, where the kernel put them; nil until they are noted.
    public static var startArguments: UnsafePointer<UnsafeMutablePointer<CChar>?>? {
        cl_arguments()
    }
    /// Notes where those are. What is noted stays as long as the process lives.
    public static func noteArguments(_ words: UnsafePointer<UnsafeMutablePointer<CChar>?>) {
        cl_note_arguments(words)
    }
    /// Its effective user.
    public static var effectiveUser: UInt32 { geteuid() }

    /// Makes it the reaper of its descendants' orphans. prctl(2) PR_SET_CHILD_SUBREAPER.
    public static func becomeSubreaper() throws(SystemError) {
        _ = try Kernel.call("prctl") { cl_prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) }
    }

    /// Whether it is the reaper of its descendants' orphans by its own wish. prctl(2) PR_GET_CHILD_SUBREAPER.
    public static func isSubreaper() throws(SystemError) -> Bool {
        var answer: Int32 = 0
        _ = try Kernel.call("prctl") {
            withUnsafeMutablePointer(to: &answer) {
                cl_prctl(PR_GET_CHILD_SUBREAPER, UInt(bitPattern: $0), 0, 0, 0)
            }
        }
        return answer == 1
    }

    /// Has it killed, or sent another signal, when its parent ends, however that does. prctl(2) PR_SET_PDEATHSIG.
    public static func endWithParent(_ signal: Signal = .kill) throws(SystemError) {
        _ = try Kernel.call("prctl") {
            cl_prctl(PR_SET_PDEATHSIG, UInt(signal.number), 0, 0, 0)
        }
    }

    /// Whether it leads its session. getsid(2).
    public static var leadsSession: Bool { getsid(0) == getpid() }

    /// Starts a process group. setpgid(2).
    public static func startGroup() throws(SystemError) {
        _ = try Kernel.call("setpgid") { setpgid(0, 0) }
    }

    /// Starts a session. setsid(2).
    public static func startSession() throws(SystemError) {
        _ = try Kernel.call("setsid") { setsid() }
    }

    /// Sets the file mode creation mask; returns what it was. umask(2).
    @discardableResult
    public static func setUmask(_ mask: UInt32) -> UInt32 { umask(mask) }

    /// Sets the nice value, from -20, the most favourable, to 19. setpriority(2).
    public static func setNice(_ value: Int32) throws(SystemError) {
        // The first argument has a type of its own in one libc.
        _ = try Kernel.call("setpriority") {
            cl_syscall(Int(SYS_setpriority), 0, 0, Int(value), 0)
        }
    }

    /// Adds to the nice value, within its bounds. getpriority(2), setpriority(2); throws EPERM as nice(2) does
    /// when only privilege would do.
    public static func addNice(_ increment: Int32) throws(SystemError) {
        // The system call's result is 20 less the nice value, and so never negative.
        let now = try Kernel.call("getpriority") { cl_syscall(Int(SYS_getpriority), 0, 0, 0, 0) }
        let wanted = 20 - Int(now) + Int(increment)
        do throws(SystemError) { try setNice(Int32(min(max(wanted, -20), 19))) } catch {
            throw error.errno == .accessDenied ? SystemError("nice", .notPermitted) : error
        }
    }

    /// Makes the current directory the root directory, for good. chroot(2).
    public static func makeRootOfCurrentDirectory() throws(SystemError) {
        _ = try Kernel.call("chroot") { chroot(".") }
    }

    /// Raises the soft limit on descriptors to the hard one; returns what it was, for children.
    public static func raiseDescriptorLimit() throws(SystemError) -> (soft: UInt64, hard: UInt64) {
        let now = try Resource.openFiles.limits()
        if now.soft < now.hard {
            try Resource.openFiles.setLimits(ResourceLimits(soft: now.hard, hard: now.hard))
        }
        return (now.soft, now.hard)
    }
}
