/// A command out of what came through a control FIFO at once, and whom it is for.
///
/// daemontools-encore has four letters for that, which count until the end of what was read together: `L` and `l` turn
/// to the logger and back to the service, and `+` and `=` to the whole process group and back to the process. Turning to
/// somebody turns to his process.
public struct Order: Equatable, Sendable {
    /// The place of its letter.
    public let place: Int
    /// What is asked.
    public let command: Command
    /// Whether the logger is asked.
    public let isForLogger: Bool
    /// Whether a signal is for the whole process group.
    public let isForGroup: Bool

    /// The letters that turn to somebody.
    public enum Turn: UInt8, CaseIterable, Sendable {
        /// `L`: to the logger.
        case logger = 0x4c
        /// `l`: to the service.
        case service = 0x6c
        /// `+`: to the process group.
        case group = 0x2b
        /// `=`: to the process.
        case process = 0x3d
    }

    /// The orders in some letters; what is neither a command nor a turn means nothing.
    public static func all(in letters: [UInt8]) -> [Order] {
        var orders: [Order] = []
        var (isForLogger, isForGroup) = (false, false)
        for (place, letter) in letters.enumerated() {
            switch Turn(rawValue: letter) {
            case .logger, .service:
                isForLogger = letter == Turn.logger.rawValue
                isForGroup = false
            case .group: isForGroup = true
            case .process: isForGroup = false
            case nil:
                guard let command = Command(rawValue: letter) else { continue }
                orders.append(
                    Order(
                        place: place, command: command, isForLogger: isForLogger,
                        isForGroup: isForGroup))
            }
        }
        return orders
    }
}
