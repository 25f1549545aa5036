import Linux

/// What a small init does about each signal that it takes.
struct SmallInitSignals {
    enum Response: Equatable {
        /// Reap who has died.
        case reap
        /// Send this one to the command.
        case pass(Signal)
        /// Nothing, because it is rewritten to nothing.
        case drop
        /// Nothing: it is the terminal's, and not meant for the command.
        case ignore
        /// Nothing: it comes of having given up the terminal.
        case handOff
        /// End with 0.
        case end
    }

    private let plan: SmallInitPlan
    /// The signals whose next one comes of having given up the terminal.
    private var handOffs: SignalSet = []

    init(_ plan: SmallInitPlan) { self.plan = plan }

    /// The terminal has been given up by the leader of its session: the kernel sends HUP and CONT. tty_ioctl(4).
    mutating func expectHandOff() { handOffs = SignalSet(.hangup, .continue) }

    mutating func response(to signal: Signal) -> Response {
        if handOffs.contains(signal) {
            handOffs.subtract(SignalSet(signal))
            return .handOff
        }
        if signal == .child { return .reap }
        if plan.command.isEmpty {
            return signal == .terminate || signal == .interrupt ? .end : .ignore
        }
        if plan.kind == .catatonit, isJobControl(signal) { return .ignore }
        return plan.translated(signal).map { .pass($0) } ?? .drop
    }

    /// Whether it stops itself too, so that whoever started it sees the job stopped.
    func stopsItself(after signal: Signal) -> Bool {
        plan.kind == .dumbInit && isJobControl(signal)
    }

    private func isJobControl(_ signal: Signal) -> Bool {
        signal == .terminalStop || signal == .terminalInput || signal == .terminalOutput
    }
}
