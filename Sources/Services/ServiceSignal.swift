/// The signals that services are sent, by the numbers that Linux gives them on every machine Apus runs on.
public struct ServiceSignal: RawRepresentable, Hashable, Sendable {
    /// The number, 1 to 64. signal(7).
    public let rawValue: Int32

    /// The signal with that number.
    public init(rawValue: Int32) { self.rawValue = rawValue }

    /// SIGHUP.
    public static let hangup = ServiceSignal(rawValue: 1)
    /// SIGINT.
    public static let interrupt = ServiceSignal(rawValue: 2)
    /// SIGQUIT.
    public static let quit = ServiceSignal(rawValue: 3)
    /// SIGABRT.
    public static let abort = ServiceSignal(rawValue: 6)
    /// SIGKILL.
    public static let kill = ServiceSignal(rawValue: 9)
    /// SIGUSR1.
    public static let user1 = ServiceSignal(rawValue: 10)
    /// SIGUSR2.
    public static let user2 = ServiceSignal(rawValue: 12)
    /// SIGALRM.
    public static let alarm = ServiceSignal(rawValue: 14)
    /// SIGTERM.
    public static let terminate = ServiceSignal(rawValue: 15)
    /// SIGCONT.
    public static let `continue` = ServiceSignal(rawValue: 18)
    /// SIGSTOP.
    public static let stop = ServiceSignal(rawValue: 19)
    /// SIGWINCH.
    public static let windowChange = ServiceSignal(rawValue: 28)
}
