import Bytes
import Commands
import Linux

// Outliving all others when memory runs out.

extension Supervisor {
    /// How long the score stays what children are to have while one of them does not come to its program, in
    /// milliseconds.
    private static let patience: UInt64 = 1000

    /// From now on the kernel kills others first; nothing is said where that is not allowed. `original` is the score
    /// that another image of this process found.
    func outliveOthers(_ original: Int32?) {
        do throws(SystemError) {
            performer.starters.score = try OwnMemoryScore(original: original)
        } catch {}
    }

    /// Lowers the score before a wait, unless a child shares this process's memory; returns when to try again then.
    func lowerScore() -> Instant? {
        guard let score = performer.starters.score else { return nil }
        if performer.starters.isBusy { return .now.advanced(milliseconds: Supervisor.patience) }
        do throws(SystemError) { try score.lower() } catch {
            messages.warning("unable to write to /proc/self/oom_score_adj", error.errno)
            performer.starters.score = nil
        }
        return nil
    }
}
