import Bytes
import CLinux

/// A signal's number, signal(7).
public struct Signal: Equatable, Hashable, Sendable {
    /// The number, 1 to 64.
    public let number: Int32

    /// Wraps a number.
    public init(_ number: Int32) { self.number = number }

    /// SIGHUP.
    public static let hangup = Signal(SIGHUP)
    /// SIGINT.
    public static let interrupt = Signal(SIGINT)
    /// SIGQUIT.
    public static let quit = Signal(SIGQUIT)
    /// SIGABRT.
    public static let abort = Signal(SIGABRT)
    /// SIGKILL.
    public static let kill = Signal(SIGKILL)
    /// SIGUSR1.
    public static let user1 = Signal(SIGUSR1)
    /// SIGUSR2.
    public static let user2 = Signal(SIGUSR2)
    /// SIGPIPE.
    public static let pipe = Signal(SIGPIPE)
    /// SIGALRM.
    public static let alarm = Signal(SIGALRM)
    /// SIGTERM.
    public static let terminate = Signal(SIGTERM)
    /// SIGCHLD.
    public static let child = Signal(SIGCHLD)
    /// SIGCONT.
    public static let `continue` = Signal(SIGCONT)
    /// SIGSTOP.
    public static let stop = Signal(SIGSTOP)
    /// SIGTSTP.
    public static let terminalStop = Signal(SIGTSTP)
    /// SIGTTIN.
    public static let terminalInput = Signal(SIGTTIN)
    /// SIGTTOU.
    public static let terminalOutput = Signal(SIGTTOU)
    /// SIGWINCH.
    public static let windowChange = Signal(SIGWINCH)
    /// SIGSYS.
    public static let badSystemCall = Signal(SIGSYS)
    /// SIGPWR.
    public static let power = Signal(SIGPWR)
}

/// A set of signals; bit n - 1 is signal n, as in the kernel and in /proc/PID/status.
public struct SignalSet: OptionSet, Sendable {
    /// The kernel's bits.
    public let rawValue: UInt64

    /// A set of the kernel's bits.
    public init(rawValue: UInt64) { self.rawValue = rawValue }

    /// A set of the given signals.
    public init(_ signals: Signal...) {
        rawValue = signals.reduce(0) { $0 | 1 << UInt64($1.number - 1) }
    }

    /// Every signal.
    public static let all = SignalSet(rawValue: ~0)

    /// What tells of a fault of the process itself, and is never blocked.
    public static let faults = SignalSet(
        Signal(SIGILL), Signal(SIGTRAP), Signal(SIGABRT), Signal(SIGBUS), Signal(SIGFPE),
        Signal(SIGSEGV), Signal(SIGSYS))

    /// Whether `signal` is in the set.
    public func contains(_ signal: Signal) -> Bool {
        rawValue >> UInt64(signal.number - 1) & 1 == 1
    }

    /// Makes these the blocked signals; returns what was blocked before. rt_sigprocmask(2).
    @discardableResult
    public func block() throws(SystemError) -> SignalSet {
        let bits = rawValue
        var previous: UInt64 = 0
        _ = try Kernel.call("sigprocmask") { cl_sigprocmask(SIG_SETMASK, bits, &previous) }
        return SignalSet(rawValue: previous)
    }
}

/// Ignores a signal, or gives it back its default. Returns whether it was ignored. sigaction(2).
@discardableResult
public func setDisposition(_ signal: Signal, ignored: Bool) throws(SystemError) -> Bool {
    try Kernel.call("sigaction") { cl_signal_disposition(signal.number, ignored ? 1 : 0) } == 1
}

/// Waits until a signal of `set`, which the caller has blocked, is pending, and takes it. sigwaitinfo(2).
public func awaitSignal(_ set: SignalSet) throws(SystemError) -> Signal {
    var bits = set.rawValue
    let number = try Kernel.call("sigtimedwait") {
        withUnsafeMutablePointer(to: &bits) {
            cl_syscall(
                Int(SYS_rt_sigtimedwait), Int(bitPattern: $0), 0, 0, MemoryLayout<UInt64>.size)
        }
    }
    return Signal(Int32(number))
}

/// A signal that was taken, and where it came from.
public struct ReceivedSignal: Sendable {
    /// The signal.
    public let signal: Signal
    /// Whether no process sent it, as those of a terminal's keys.
    public let isFromKernel: Bool
    /// The process that sent it; 0 where there is none.
    public let sender: ProcessID
}

/// Waits as `awaitSignal` does, and tells where the signal came from. sigwaitinfo(2).
public func awaitSignalWithOrigin(_ set: SignalSet) throws(SystemError) -> ReceivedSignal {
    var bits = set.rawValue
    // siginfo_t: 128 bytes, the signal, an error and the code, then from 16 on the sender.
    return try withUnsafeTemporaryAllocation(byteCount: 128, alignment: 8) {
        (info) throws(SystemError) -> ReceivedSignal in
        info.initializeMemory(as: UInt8.self, repeating: 0)
        let address = Int(bitPattern: info.baseAddress)
        let number = try Kernel.call("sigtimedwait") {
            withUnsafeMutablePointer(to: &bits) {
                cl_syscall(
                    Int(SYS_rt_sigtimedwait), Int(bitPattern: $0), address, 0,
                    MemoryLayout<UInt64>.size)
            }
        }
        // SI_USER, SI_QUEUE and SI_TKILL are not positive, SI_KERNEL is.
        let isFromKernel = info.load(fromByteOffset: 8, as: Int32.self) > 0
        return ReceivedSignal(
            signal: Signal(Int32(number)), isFromKernel: isFromKernel,
            sender: isFromKernel ? 0 : info.load(fromByteOffset: 16, as: ProcessID.self))
    }
}

/// A descriptor that becomes readable when a blocked signal of its set is pending. signalfd(2).
public struct SignalDescriptor: ~Copyable {
    /// What to wait on.
    public let descriptor: Descriptor

    /// For the signals of `set`, which the caller has blocked.
    public init(_ set: SignalSet) throws(SystemError) {
        descriptor = Descriptor(
            owning: try Kernel.call("signalfd") {
                cl_signalfd(set.rawValue, Int32(SFD_CLOEXEC) | Int32(SFD_NONBLOCK))
            })
    }

    /// Takes the next pending signal, or nil when there is none.
    public borrowing func next() throws(SystemError) -> Signal? {
        var information = signalfd_siginfo()
        let number = descriptor.number
        do {
            let size = MemoryLayout<signalfd_siginfo>.size
            let count = try Kernel.call("read") { CLinux.read(number, &information, size) }
            return count == size ? Signal(Int32(information.ssi_signo)) : nil
        } catch {
            if error.errno == .again { return nil }
            throw error
        }
    }
}
