import Bytes
import Formats
import Linux

/// Decides whether a connection is let in, by the rules on disk and the limits.
struct Access {
    private let rules: RulesCache?
    private let allowsWithoutRules: Bool
    private let limits: Limits

    /// What was decided.
    struct Verdict {
        /// Why the connection is denied; nil when it is let in.
        var denial: Denial?
        /// What the client is told first, without the line's end.
        var message = ByteString()

        /// Whether a denied client is held for a second: it reads the message before its connection is
        /// reset, or waits before it tries again. Those that come too often are not, there may be very
        /// many.
        var isHeld: Bool {
            switch denial {
            case nil, .limit(.rate, _): false
            case .rule: !message.isEmpty
            case .limit: true
            }
        }
    }

    /// Rules and limits as the options and tcpserver's own environment have them.
    init(_ options: TCPServerOptions, _ environment: Environment) {
        rules = options.rules.map { RulesCache($0) }
        allowsWithoutRules = options.allowsWithoutRules
        limits = Limits(environment)
    }

    /// Whether what a client's address alone was denied for may be allowed once its name or user is known.
    var rulesDependOnNames: Bool { rules?.dependOnNames ?? false }

    /// Decides, and adds the variables that the rule sets to `edits`. The rate of connections counts
    /// where there are `rates` to keep it by. Throws when the rules cannot be read or are damaged, and
    /// nobody must be let in.
    func decide(
        _ connection: Connection, _ children: inout Children, _ rates: RateTable?,
        edits: inout [UInt8]
    ) throws(SystemError) -> Verdict {
        var limits = limits
        var verdict = Verdict()
        if try isDeniedByRule(connection, &limits, &edits) { verdict.denial = .rule }
        // The load may be the reason even where the rule denied already. The rate comes before the
        // number of connections: who is denied for that is held, which costs more.
        verdict.denial =
            limits.checkLoad() ?? verdict.denial
            ?? limits.checkRate(connection.remote, rates)
            ?? limits.checkConnections(connection.remote, &children)
        if let denial = verdict.denial { verdict.message = limits.message(for: denial) }
        return verdict
    }

    private func isDeniedByRule(
        _ connection: Connection, _ limits: inout Limits, _ edits: inout [UInt8]
    ) throws(SystemError) -> Bool {
        guard let rules else { return false }
        var isDenied = false
        do throws(SystemError) {
            try rules.apply(connection.query) { item in
                switch item {
                case .deny: isDenied = true
                case .variable(let text):
                    limits.apply(text)
                    edits.append(contentsOf: text)
                    edits.append(0)
                }
                return true
            }
        } catch {
            if error.errno == .noEntry && allowsWithoutRules { return false }
            throw error
        }
        return isDenied
    }
}
