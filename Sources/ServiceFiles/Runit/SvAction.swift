import Bytes
import Formats
import Services

/// What sv is asked to do with services, read from its word: of most words only the first letter matters.
public struct SvAction: Equatable, Sendable {
    /// What is done, apart from waiting.
    public enum Kind: Equatable, Sendable {
        /// Commands are sent.
        case control
        /// The status is printed.
        case status
        /// Nothing: what was asked for before is waited for.
        case check
    }

    /// What is done.
    public let kind: Kind
    /// The commands, in order.
    public let commands: [Command]
    /// Whether their effect is waited for.
    public let waits: Bool
    /// Whether a service is killed that has not come to it in time.
    public let kills: Bool

    /// Reads `word`; nil when it is none. `isScript` when sv is called as an init script, which has fewer words;
    /// `waits` makes it wait for every command's effect.
    public init?(_ word: ByteString, isScript: Bool, waits: Bool) {
        if let action = SvAction.whole(word) {
            self = action
            return
        }
        guard let letter = word.bytes.first else { return nil }
        switch letter {
        case UInt8(ascii: "x"), UInt8(ascii: "e"): self.init([.exit], waits: waits)
        case UInt8(ascii: "X"), UInt8(ascii: "E"): self.init([.exit], waits: true, kills: true)
        case UInt8(ascii: "D"): self.init([.down], waits: true, kills: true)
        case UInt8(ascii: "T"): self.init([.terminate, .continue], waits: true, kills: true)
        case UInt8(ascii: "s"):
            if isScript && word != "status" { return nil }
            self.init([], kind: .status, waits: false)
        default:
            guard let command = Command(rawValue: letter), SvAction.single.contains(command) else {
                return nil
            }
            self.init([command], waits: waits)
        }
    }

    private init(
        _ commands: [Command], kind: Kind = .control, waits: Bool, kills: Bool = false
    ) {
        self.kind = kind
        self.commands = commands
        self.waits = waits
        self.kills = kills
    }

    /// The words of which every letter matters: those of LSB init scripts.
    private static func whole(_ word: ByteString) -> SvAction? {
        switch word {
        case "start": SvAction([.up], waits: true)
        case "stop": SvAction([.down], waits: true)
        case "restart": SvAction([.terminate, .continue, .up], waits: true)
        case "try-restart": SvAction([.terminate, .continue], waits: true)
        case "reload": SvAction([.hangup], waits: true)
        case "shutdown": SvAction([.exit], waits: true)
        case "check": SvAction([], kind: .check, waits: true)
        case "force-stop": SvAction([.down], waits: true, kills: true)
        case "force-reload": SvAction([.terminate, .continue], waits: true, kills: true)
        case "force-restart":
            SvAction([.terminate, .continue, .up], waits: true, kills: true)
        case "force-shutdown": SvAction([.exit], waits: true, kills: true)
        default: nil
        }
    }

    /// The commands that are words of their own.
    private static let single: [Command] = [
        .up, .down, .once, .terminate, .pause, .continue, .hangup, .alarm, .interrupt, .kill, .quit,
        .user1, .user2,
    ]

    /// Whether a service that is not supervised is what was asked for.
    public var isExit: Bool { commands.first == .exit }

    /// Whether the first command needs not be sent: what it wants is wanted already.
    public func isWanted(_ status: RunitStatus) -> Bool {
        guard let first = commands.first, first.rawValue == status.record.want else { return false }
        return first != .down || status.wasTerminated
    }

    /// The letters to send to whoever wrote `status`. To runsv, `x` is also to stop the service; to the others it is
    /// not.
    public func letters(for status: RunitStatus) -> [UInt8] {
        let commands = isExit && !status.isOfRunsv ? [.down] + commands : commands
        return commands.map { $0.rawValue }
    }

    /// Whether `status` is what was asked for at `start`. `isAvailable` tells what the service's own check says.
    public func isReached(
        _ status: RunitStatus, since start: TAI64N, isAvailable: () -> Bool
    ) -> Bool {
        let wantsDown = status.record.want == StatusRecord.wantsDown
        let awaited = kind == .check ? [wantsDown ? .down : .up] : commands
        return awaited.allSatisfy {
            SvAction.isReached($0, status, since: start, isAvailable: isAvailable)
        }
    }

    private static func isReached(
        _ command: Command, _ status: RunitStatus, since start: TAI64N, isAvailable: () -> Bool
    ) -> Bool {
        let isOld = status.record.since < start
        let wantsDown = status.record.want == StatusRecord.wantsDown
        switch command {
        case .exit: return false
        case .up: return status.hasProcess && status.state == .run && isAvailable()
        case .down: return !status.hasProcess && status.state == .down
        case .terminate, .kill:
            if !status.hasProcess && wantsDown { return true }
            return !isOld && status.hasProcess && !status.wasTerminated && isAvailable()
        case .once:
            // Who is up and wanted up has not seen the command.
            return status.hasProcess ? status.record.want != StatusRecord.wantsUp : !isOld
        case .pause: return !status.hasProcess || status.record.isPaused
        case .continue: return !status.hasProcess || !status.record.isPaused
        default: return true
        }
    }
}
