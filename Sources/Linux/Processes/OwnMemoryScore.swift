import Bytes
import CLinux

/// How soon the kernel kills this process when memory runs out: after all others, as long as it starts none of them, and
/// as before whenever it does, since a child begins with what its parent has. A child cannot give it back by itself: as
/// long as it shares this process's memory, its score is this process's too. proc_pid_oom_score_adj(5).
public final class OwnMemoryScore {
    /// The lowest, -1000, would let a machine hang whose memory this process alone has taken.
    private static let lowered: Int32 = -998

    /// What it was before, which is what children get.
    public let original: Int32
    private let file: Descriptor
    private var isLowered: Bool

    /// `original` is what another image of this process found, if one did. Throws where it cannot be lowered: without
    /// /proc, or without CAP_SYS_RESOURCE.
    public init(original known: Int32?) throws(SystemError) {
        let path: ByteString = "/proc/self/oom_score_adj"
        let now = try OwnMemoryScore.read(path)
        original = known ?? now
        if original <= OwnMemoryScore.lowered {
            throw SystemError("write", .invalid, subject: path)
        }
        isLowered = now != original
        file = try openFile(path, .write)
        try set(OwnMemoryScore.lowered)
        isLowered = true
        try restore()
    }

    private static func read(_ path: ByteString) throws(SystemError) -> Int32 {
        let text = try contents(of: path, limit: 16)
        let isNegative = text.first == UInt8(ascii: "-")
        let (number, length) = scanDecimal(text.dropFirst(isNegative ? 1 : 0))
        guard length > 0, number <= 1000 else {
            throw SystemError("read", .invalid, subject: path)
        }
        return isNegative ? -Int32(number) : Int32(number)
    }

    private func set(_ score: Int32) throws(SystemError) {
        let text: ByteString = score < 0 ? "-\(-score)" : "\(score)"
        try writeAll(file.number, Array(text.bytes))
    }

    /// Lowers it, at a time when no child shares this process's memory.
    public func lower() throws(SystemError) {
        if isLowered { return }
        try set(OwnMemoryScore.lowered)
        isLowered = true
    }

    /// Makes it what it was, which is always allowed.
    public func restore() throws(SystemError) {
        if !isLowered { return }
        try set(original)
        isLowered = false
    }
}
