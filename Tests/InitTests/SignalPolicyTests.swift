import Bytes
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
        case 47: return [Event](repeating: .stopAsked(.halt, signal: .terminate), count: 2)
        case 48: return [Event](repeating: .stopAsked(.powerOff, signal: .terminate), count: 2)
        case 49: return [Event](repeating: .stopAsked(.reboot, signal: .terminate), count: 2)
        case 50: return [Event](repeating: .stopAsked(.kexec, signal: .terminate), count: 2)
        case 1: return [.rescanAsked, .forwarded(signal)]
        case 13, 21, 22: return []
        // The kernel's, faults, and what tells of children.
        case 9, 19, 4, 5, 6, 7, 8, 11, 31, 17: return []
        default: return [.forwarded(signal)]
        }
    }

    @Test("Each of the 64 has its meaning", arguments: [true, false])
    func table(hasCommand: Bool) {
        for number in Int32(1)...64 {
            #expect(
                SignalPolicy.events(of: Signal(number), hasCommand: hasCommand)
                    == expected(number, hasCommand: hasCommand), "signal \(number)")
            #expect(
                SignalPolicy.events(of: Signal(number), hasCommand: hasCommand, SignalRewrites())
                    == expected(number, hasCommand: hasCommand), "signal \(number)")
        }
    }

    /// Whether `init` could ever be told of it.
    private func isTaken(_ number: Int32) -> Bool {
        ![4, 5, 6, 7, 8, 9, 11, 17, 19, 31].contains(number)
    }

    @Test("Each of the 64 may mean any other, or nothing", arguments: [true, false])
    func rewritten(hasCommand: Bool) {
        for from in Int32(1)...64 where isTaken(from) {
            for to in Int32(0)...64 {
                var rewrites = SignalRewrites()
                let isPair = rewrites.add("\(from):\(to)")
                #expect(isPair)
                let events = SignalPolicy.events(
                    of: Signal(from), hasCommand: hasCommand, rewrites)
                check(events, from, to, hasCommand)
                // Nothing else changes.
                let other = from % 64 + 1
                #expect(
                    SignalPolicy.events(of: Signal(other), hasCommand: hasCommand, rewrites)
                        == expected(other, hasCommand: hasCommand))
            }
        }
    }

    private func check(_ events: [Event], _ from: Int32, _ to: Int32, _ hasCommand: Bool) {
        if to == 0 { return #expect(events == [], "\(from) to nothing") }
        let number = ServiceSignal(rawValue: to)
        let own = expected(from, hasCommand: hasCommand)
        let other = expected(to, hasCommand: hasCommand)
        if case .stopAsked(let ending, _)? = own.first {
            #expect(
                events
                    == [Event](repeating: .stopAsked(ending, signal: number), count: own.count),
                "\(from) still stops, the command gets \(to)")
        } else if other.contains(where: { $0.isStop }) {
            #expect(events == other, "\(from) stops as \(to)")
        } else {
            let rescans = from == 1 || to == 1
            #expect(
                events == (rescans ? [.rescanAsked] : []) + [.forwarded(number)],
                "\(from) goes on as \(to)")
        }
    }

    @Test("Pairs are numbers or names, and what no process gets cannot be rewritten")
    func words() {
        var rewrites = SignalRewrites()
        for word in ["15:3", "TERM:QUIT", "sigterm:SIGQUIT", "28:0", "RTMIN+3:TERM", "37:9"]
            as [ByteString]
        {
            let isPair = rewrites.add(word)
            #expect(isPair, "\(word)")
        }
        // The first one counts.
        #expect(rewrites.target(of: .terminate) == 3)
        #expect(rewrites.target(of: .windowChange) == 0)
        #expect(rewrites.target(of: Signal(37)) == 15)
        #expect(rewrites.target(of: .hangup) == nil)
        for word in [
            "", ":", "15", "15:", ":3", "15:3:1", "0:15", "65:1", "15:65", "15:-1", "x:1", "1:x",
            "15 :3", "9:15", "STOP:1", "17:1", "SEGV:1", "31:1", "15:00",
        ] as [ByteString] {
            let isPair = rewrites.add(word)
            #expect(!isPair, "\(word)")
        }
    }
}
