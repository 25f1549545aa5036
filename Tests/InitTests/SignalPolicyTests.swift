import Linux
import Services
import Testing

@testable import Init

@Suite("Signals to process 1")
struct SignalPolicyTests {
    /// What every signal means, written down from init(8).
    private func expected(_ number: Int32, hasCommand: Bool) -> [Event] {
        let signal = ServiceSignal(rawValue: number)
        switch number {
        case 2, 15: return [.stopAsked(.exit, signal: signal)]
        case 3 where !hasCommand: return [.stopAsked(.exit, signal: .terminate)]
        case 30, 38: return [.stopAsked(.powerOff, signal: .terminate)]
        case 37: return [.stopAsked(.halt, signal: .terminate)]
        case 39: return [.stopAsked(.reboot, signal: .terminate)]
        case 40: return [.stopAsked(.kexec, signal: .terminate)]
        case 1: return [.rescanAsked, .forwarded(signal)]
        case 13, 17, 21, 22: return []
        default: return [.forwarded(signal)]
        }
    }

    @Test("Each of the 64 has its meaning", arguments: [true, false])
    func table(hasCommand: Bool) {
        for number in Int32(1)...64 {
            #expect(
                SignalPolicy.events(of: Signal(number), hasCommand: hasCommand)
                    == expected(number, hasCommand: hasCommand), "signal \(number)")
        }
    }
}
