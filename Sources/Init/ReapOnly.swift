import Bytes
import Commands
import Linux
import Services

/// What is left to process 1 when its event loop fails: it reaps, and ends everything when it is told to.
struct ReapOnly: ~Copyable {
    /// How many milliseconds processes have to end before they are killed.
    static let patience: UInt64 = 5000

    private let messages: Messages
    private let signals: SignalDescriptor?

    /// Takes the signals that are blocked; without a descriptor for them, it can only reap.
    init(_ messages: Messages) {
        self.messages = messages
        do throws(SystemError) { signals = try SignalDescriptor(Init.signals) } catch {
            signals = nil
        }
    }

    /// Reaps until a signal to stop comes, then ends all other processes. Returns the exit code, 111.
    borrowing func run() -> Int32 {
        while true {
            reapAll()
            if isAskedToStop() { break }
            wait(milliseconds: 1000)
        }
        messages.warning("ending all processes")
        signalAll(.terminate)
        signalAll(.continue)
        let deadline = Instant.now.advanced(milliseconds: ReapOnly.patience)
        while reapAll(), Instant.now < deadline { wait(milliseconds: 50) }
        signalAll(.kill)
        reapAll()
        return 111
    }

    /// Reaps what has ended; returns whether there are children left.
    @discardableResult
    private borrowing func reapAll() -> Bool {
        while true {
            do throws(SystemError) {
                switch try reap() {
                case .ended, .resumed: continue
                case .nothingYet: return true
                case .noChildren: return false
                }
            } catch { return true }
        }
    }

    /// Whatever stops an init that has no main command stops this.
    private borrowing func isAskedToStop() -> Bool {
        switch signals {
        case .some(let signals):
            do throws(SystemError) {
                while let signal = try signals.next() {
                    let events = SignalPolicy.events(of: signal, hasCommand: false)
                    if events.contains(where: { $0.isStop }) { return true }
                }
            } catch {}
            return false
        case .none: return false
        }
    }

    /// A child's end and any other signal are looked for often enough without a wait that could fail, too.
    private borrowing func wait(milliseconds: UInt64) {
        Linux.pause(until: Instant.now.advanced(milliseconds: milliseconds))
    }

    /// Everybody but this process, if it is process 1; its descendants, if it is not.
    private borrowing func signalAll(_ signal: Signal) {
        var others: [ProcessID] = []
        do throws(SystemError) {
            let own = CurrentProcess.id
            others = own == 1 ? [-1] : try ProcessTable().strays(of: own, sparing: [])
        } catch {}
        for pid in others { do throws(SystemError) { try send(signal, to: pid) } catch {} }
    }
}
