import Services

/// What svc's options say, in their order: what the services are sent, and what their loggers.
struct SvcText {
    /// What goes through one FIFO.
    struct Part {
        /// Whether it is the logger's.
        let isForLoggers: Bool
        /// What is written.
        fileprivate(set) var letters: [UInt8] = []

        init(isForLoggers: Bool) { self.isForLoggers = isForLoggers }

        init(_ command: Command) {
            isForLoggers = false
            letters = [command.rawValue]
        }

        /// The commands among the letters.
        var commands: [Command] { letters.compactMap { Command(rawValue: $0) } }
    }

    private var all = [Part(isForLoggers: false)]
    private var isForGroup = false

    /// What there is to send. Without any, the services are sent nothing, which tells whether they are supervised.
    var parts: [Part] {
        let said = all.filter { !$0.letters.isEmpty }
        return said.isEmpty ? [all[all.count - 1]] : said
    }

    /// Adds a command, unless the same is said to the same already.
    mutating func add(_ command: Command) {
        let place = all.count - 1
        let orders = Order.all(in: all[place].letters)
        if orders.contains(where: { $0.command == command && $0.isForGroup == isForGroup }) {
            return
        }
        if isForGroup != orders.last?.isForGroup ?? false {
            all[place].letters.append(
                (isForGroup ? Order.Turn.group : Order.Turn.process).rawValue)
        }
        all[place].letters.append(command.rawValue)
    }

    /// Turns to somebody.
    mutating func turn(_ turn: Order.Turn) {
        switch turn {
        case .group: isForGroup = true
        case .process: isForGroup = false
        case .logger, .service:
            isForGroup = false
            let isForLoggers = turn == .logger
            if all[all.count - 1].isForLoggers != isForLoggers {
                all.append(Part(isForLoggers: isForLoggers))
            }
        }
    }
}
