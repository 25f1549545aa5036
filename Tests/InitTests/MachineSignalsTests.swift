import Bytes
import Linux
import Services
import Testing

@testable import Init

@Suite("Signals to process 1 of a machine")
struct MachineSignalsTests {
    /// What every signal means, written down from init(8).
    private func expected(_ number: Int32) -> [Event] {
        switch number {
        case 1: return [.rescanAsked]
        case 2, 39: return [.stopAsked(.reboot, signal: .terminate)]
        case 12, 15, 30, 38: return [.stopAsked(.powerOff, signal: .terminate)]
        case 37: return [.stopAsked(.halt, signal: .terminate)]
        case 40: return [.stopAsked(.kexec, signal: .terminate)]
        default: return []
        }
    }

    @Test("Each of the 64 has its meaning")
    func table() {
        for number in Int32(1)...64 {
            #expect(
                MachineSignals.events(of: Signal(number)) == expected(number), "signal \(number)")
        }
    }

    @Test("Four of them wait for nothing")
    func immediate() {
        let endings: [Int32: Ending] = [47: .halt, 48: .powerOff, 49: .reboot, 50: .kexec]
        for number in Int32(1)...64 {
            #expect(MachineSignals.immediateEnding(Signal(number)) == endings[number])
        }
    }

    @Test("No ending of the services is an exit of process 1")
    func endings() {
        #expect(Machine.Ending(.exit, powerOffBy: nil) == .powerOff)
        #expect(Machine.Ending(.powerOff, powerOffBy: nil) == .powerOff)
        #expect(Machine.Ending(.powerOff, powerOffBy: "reboot") == .reboot)
        #expect(Machine.Ending(.powerOff, powerOffBy: "halt") == .halt)
        #expect(Machine.Ending(.powerOff, powerOffBy: "nonsense") == .powerOff)
        #expect(Machine.Ending(.halt, powerOffBy: "reboot") == .halt)
        #expect(Machine.Ending(.reboot, powerOffBy: "halt") == .reboot)
        #expect(Machine.Ending(.kexec, powerOffBy: "halt") == .kexec)
    }

    @Test("A kernel that was loaded is the next one, and does not keep the power on")
    func loadedKernel() {
        for ending in [Ending.halt, .powerOff, .reboot, .kexec, .exit] {
            for substitute in [nil, "reboot"] as [ByteString?] {
                let plain = Machine.Ending(ending, powerOffBy: substitute)
                let expected = ending == .reboot ? .kexec : plain
                #expect(
                    Machine.Ending(ending, powerOffBy: substitute, isKernelLoaded: true) == expected
                )
            }
        }
    }
}
