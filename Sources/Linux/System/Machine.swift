import Bytes
import CLinux

/// What the whole machine can be told. Only process 1 of a machine, and root, may.
public enum Machine {
    /// How it ends.
    public enum Ending: Equatable, Sendable {
        /// It stands still, with the power on.
        case halt
        /// The power goes off.
        case powerOff
        /// It starts again.
        case reboot
        /// The kernel that kexec(8) has loaded starts.
        case kexec

        fileprivate var command: UInt32 {
            switch self {
            case .halt: 0xcdef_0123
            case .powerOff: 0x4321_fedc
            case .reboot: 0x0123_4567
            case .kexec: 0x4558_4543
            }
        }
    }

    /// Ends the machine now: nothing is written to disk, nothing unmounted. Returns only by throwing, where the
    /// process lives on. reboot(2).
    public static func end(_ ending: Ending) throws(SystemError) {
        let command = Int32(bitPattern: ending.command)
        _ = try Kernel.call("reboot") { CLinux.reboot(command) }
    }

    /// From now on a fault of this process, process 1, ends the machine in this way instead of a panic, after what is in
    /// memory was written to disk. With `environment`, the first fault executes the binary again instead, with the
    /// arguments that it was started with and these variables. sigaction(2), sigaltstack(2).
    public static func endOnFault(_ ending: Ending, restartingWith environment: Environment? = nil)
        throws(SystemError)
    {
        let variables = environment?.vector
        let arguments = CurrentProcess.startArguments
        _ = try Kernel.call("sigaction") {
            cl_guard_machine(ending.command, arguments, variables?.pointer)
        }
        cl_unblock_faults()
        // A fault can come until the very end.
        if let variables { _ = Unmanaged.passRetained(variables) }
    }

    /// Whether Ctrl-Alt-Del restarts the machine at once, or sends process 1 SIGINT. reboot(2).
    public static func setRestartsByKeys(_ isOn: Bool) throws(SystemError) {
        let command: UInt32 = isOn ? 0x89ab_cdef : 0
        _ = try Kernel.call("reboot") { CLinux.reboot(Int32(bitPattern: command)) }
    }

    /// Has everything written to disk. sync(2).
    public static func synchronize() { sync() }

    /// Gives it a name. sethostname(2).
    public static func setHostName(_ name: ByteString) throws(SystemError) {
        let count = name.count
        _ = try Kernel.call("sethostname", name) { name.withCString { sethostname($0, count) } }
    }

    /// Puts `bytes` into the kernel's pool of random numbers, and counts them as random if `isSecret`. random(4)
    /// RNDADDENTROPY.
    public static func addRandom(_ bytes: [UInt8], isSecret: Bool) throws(SystemError) {
        let pool = try openFile("/dev/urandom", .write)
        guard isSecret else { return try writeAll(pool.number, bytes) }
        // struct rand_pool_info: bits, bytes, and the bytes.
        var request: [UInt8] = []
        for value in [UInt32(bytes.count * 8), UInt32(bytes.count)] {
            for shift in 0..<4 {
                request.append(UInt8(truncatingIfNeeded: value >> UInt32(shift * 8)))
            }
        }
        request += bytes
        let number = pool.number
        _ = try Kernel.call("ioctl") {
            request.withUnsafeBytes {
                cl_syscall(
                    Int(SYS_ioctl), Int(number), 0x4008_5203, Int(bitPattern: $0.baseAddress), 0)
            }
        }
    }

    /// `count` random bytes, at most 256, without waiting; throws EAGAIN while the kernel has none. getrandom(2).
    public static func random(_ count: Int) throws(SystemError) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: count)
        _ = try Kernel.call("getrandom") {
            bytes.withUnsafeMutableBytes {
                cl_syscall(Int(SYS_getrandom), Int(bitPattern: $0.baseAddress), count, 1, 0)
            }
        }
        return bytes
    }
}
