import Bytes
import CLinux

/// Lets `signal` end this process at once with exit code 0, wherever it is, also inside a call that
/// blocks. A program that is started gets the default back. signal(2).
public func exitCleanly(on signal: Signal) throws(SystemError) {
    _ = try Kernel.call("signal") {
        let previous = CLinux.signal(signal.number) { _ in _exit(0) }
        return unsafeBitCast(previous, to: Int.self)
    }
}
