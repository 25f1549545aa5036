import Bytes
import CLinux

/// From now on an image of this process that goes on where another one met a fault survives the next one too, though it
/// has not looked at anything yet. To be called first of all; it does nothing in other processes.
public func surviveEarlyFaults(_ arguments: UnsafePointer<UnsafeMutablePointer<CChar>?>) {
    CarriedTable.variable.withCString { cl_carry_on_early(arguments, $0) }
}

/// From now on a fault of this process (SIGSEGV, SIGILL and their like, which tell of a mistake in the program) is told
/// in one line on standard error, and ends it with 111. A copy of this process, and whatever it executes, is ended by
/// such signals as ever, and so is it when somebody else sends one. sigaction(2), sigaltstack(2).
public func tellOfFaults() throws(SystemError) {
    _ = try Kernel.call("sigaction") { cl_carry_on(nil, -1, nil, nil) }
}
