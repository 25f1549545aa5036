/// How a process ended: the status of wait(2), and why it never became the program it was to run, if it did not.
public struct Death: Equatable, Sendable {
    /// The status of wait(2).
    public let status: Int32
    /// The errno of the step that failed before the program ran; 0 when it ran.
    public let startError: Int32

    /// Whether the kernel killed it for lack of memory.
    public let ranOutOfMemory: Bool

    /// A death with the status of wait(2).
    public init(status: Int32, startError: Int32 = 0, ranOutOfMemory: Bool = false) {
        self.status = status
        self.startError = startError
        self.ranOutOfMemory = ranOutOfMemory
    }

    /// The number of the signal that ended it; 0 when it exited by itself.
    public var signal: Int32 { status & 0x7f }
    /// Its exit code; meaningless when a signal ended it.
    public var exitCode: Int32 { status >> 8 & 0xff }
    /// As a shell reports it: the exit code, or 128 and the signal; 127 for a command that is not there
    /// and 126 for one that cannot be run.
    public var shellCode: Int32 {
        if startError != 0 { return startError == Death.noSuchFile ? 127 : 126 }
        return signal == 0 ? exitCode : 128 + signal
    }

    /// ENOENT.
    private static let noSuchFile: Int32 = 2
}
