import Bytes
import Linux
import Services

/// Signals that are to mean others, as `--rewrite FROM:TO` says; 0 drops them. The first one for a signal counts.
public struct SignalRewrites: Equatable, Sendable {
    private var targets: [(from: Int32, to: Int32)] = []

    /// None.
    public init() {}

    /// Adds `FROM:TO`, each a number or a name, TO perhaps 0. Returns false where it is none, and where no process
    /// could ever get FROM: what the kernel keeps for itself, and what tells `init` of its children or a fault.
    public mutating func add(_ word: ByteString) -> Bool {
        let parts = word.parts(separatedBy: UInt8(ascii: ":"))
        guard parts.count == 2, let from = SignalNames.number(of: parts[0]),
            let to = parts[1] == "0" ? 0 : SignalNames.number(of: parts[1]),
            SignalPolicy.isTaken(Signal(from))
        else { return false }
        targets.append((from, to))
        return true
    }

    /// What a signal is to mean; nil when it keeps its meaning.
    func target(of signal: Signal) -> Int32? {
        targets.first { $0.from == signal.number }?.to
    }

    /// Equal when they rewrite the same signals in the same order.
    public static func == (left: SignalRewrites, right: SignalRewrites) -> Bool {
        left.targets.elementsEqual(right.targets) { $0.from == $1.from && $0.to == $1.to }
    }
}
