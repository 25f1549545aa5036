import Bytes
import Commands
import Linux

/// How the limits on a resource change.
public enum LimitChange: Equatable, Sendable {
    /// The soft limit becomes the hard one.
    case softToHard
    /// The soft limit becomes this; the hard limit if it is lower.
    case soft(UInt64)
    /// Exactly these; nil for as it is, but that the soft limit is never above a new hard one.
    case exactly(soft: UInt64?, hard: UInt64?)
    /// These, or what comes nearest to them of what this process may have.
    case nearest(soft: UInt64?, hard: UInt64?)

    /// `NAME=SOFT:HARD` as prlimit(1) has it: one number for both, one of them may be missing.
    static func parse(_ text: ByteString, mayBeNearest: Bool = false)
        throws(Failure) -> (Resource, LimitChange)
    {
        guard let (name, value) = text.cut(at: UInt8(ascii: "=")) else {
            throw Failure("bad limit \(text)", exitCode: 100)
        }
        guard let resource = Resource(named: name) else {
            throw Failure("unknown resource \(name)", exitCode: 100)
        }
        let (soft, hard) = value.cut(at: UInt8(ascii: ":")) ?? (value, value)
        guard let soft = number(soft), let hard = number(hard), soft ?? 0 <= hard ?? .max,
            soft != nil || hard != nil
        else { throw Failure("bad limit \(text)", exitCode: 100) }
        let change: LimitChange =
            mayBeNearest ? .nearest(soft: soft, hard: hard) : .exactly(soft: soft, hard: hard)
        return (resource, change)
    }

    /// A limit, or nothing for a missing one; nil for what is neither.
    private static func number(_ text: ByteString) -> UInt64?? {
        if text.isEmpty { return .some(nil) }
        if text == "unlimited" { return ResourceLimits.infinity }
        return parseDecimal(text, within: 0...Int.max).map { UInt64($0) }
    }

    /// What it makes of the limits there are.
    func applied(to now: ResourceLimits) -> ResourceLimits {
        switch self {
        case .softToHard: return ResourceLimits(soft: now.hard, hard: now.hard)
        case .soft(let value): return ResourceLimits(soft: min(value, now.hard), hard: now.hard)
        case .exactly(let soft, let hard):
            let limit = hard ?? now.hard
            return ResourceLimits(soft: soft ?? min(now.soft, limit), hard: limit)
        case .nearest(let soft, let hard):
            let limit = hard ?? now.hard
            return ResourceLimits(soft: min(soft ?? now.soft, limit), hard: limit)
        }
    }

    /// Whether this process itself might run into it.
    func isTight(for resource: Resource) -> Bool {
        guard resource.isMemory else { return false }
        switch self {
        case .softToHard: return false
        case .soft(let value): return value < 16 << 20
        case .exactly(let soft, let hard), .nearest(let soft, let hard):
            return min(soft ?? .max, hard ?? .max) < 16 << 20
        }
    }

    func apply(to resource: Resource) throws(Failure) {
        let now: ResourceLimits
        do throws(SystemError) { now = try resource.limits() } catch {
            throw error.explained("getrlimit failed")
        }
        let wanted = applied(to: now)
        do throws(SystemError) {
            do throws(SystemError) { try resource.setLimits(wanted) } catch {
                guard case .nearest = self, error.errno == .notPermitted else { throw error }
                try LimitChange.setNearest(wanted, now, resource)
            }
        } catch { throw error.explained("setrlimit failed") }
    }

    /// Sets what comes nearest to `wanted`, which the kernel refuses: of open files nobody gets more
    /// than the system allows one process, and a hard limit is raised only by privilege.
    private static func setNearest(
        _ wanted: ResourceLimits, _ now: ResourceLimits, _ resource: Resource
    ) throws(SystemError) {
        if resource == .openFiles, let most = mostOpenFiles, most < wanted.hard, most > now.hard {
            do throws(SystemError) { return try resource.setLimits(wanted.limited(to: most)) } catch
            {
                if error.errno != .notPermitted { throw error }
            }
        }
        try resource.setLimits(wanted.limited(to: now.hard))
    }

    /// What no limit on open files may exceed; nil where /proc does not tell.
    private static var mostOpenFiles: UInt64? {
        do throws(SystemError) {
            let text = try contents(of: "/proc/sys/fs/nr_open", limit: 64)
            return UInt64(scanDecimal(text).value)
        } catch { return nil }
    }
}

extension ResourceLimits {
    fileprivate func limited(to hard: UInt64) -> ResourceLimits {
        ResourceLimits(soft: min(soft, hard), hard: min(self.hard, hard))
    }
}
