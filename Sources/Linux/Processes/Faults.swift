import CLinux

/// From now on a fault of this process (SIGSEGV, SIGILL and their like, which tell of a mistake in the program) is told
/// in one line on standard error, and ends it with 111. A copy of this process, and whatever it executes, is ended by
/// such signals as ever, and so is it when somebody else sends one. sigaction(2), sigaltstack(2).
public func tellOfFaults() throws(SystemError) {
    _ = try Kernel.call("sigaction") { cl_carry_on(nil, -1, nil, nil) }
}
