import Bytes
import Formats
import Linux

/// Decides whether a connection is let in, by the rules on disk and the limits.
struct Access {
    private let rules: ByteString?
    private let allowsWithoutRules: Bool
    private let limits: Limits

    /// What was decided.
    struct Verdict {
        /// Why the connection is denied; nil when it is let in.
        var reason: Limits.Reason?
        /// What the client is told first.
        var message = ByteString()

        /// Whether a denied client gets a message that it needs time to read, or is held for a second.
        var takesTime: Bool { reason.map { $0.holds || !message.isEmpty } ?? false }
    }

    /// Rules and limits as the options and tcpserver's own environment have them.
    init(_ options: TCPServerOptions, _ environment: Environment) {
        rules = options.rules
        allowsWithoutRules = options.allowsWithoutRules
        limits = Limits(environment)
    }

    /// Decides, and adds the variables that the rule sets to `edits`. The rate of connections counts
    /// where there are `rates` to keep it by. Throws when the rules cannot be read or are damaged, and
    /// nobody must be let in.
    func decide(
        _ connection: Connection, _ children: Children, _ rates: RateTable?, edits: inout [UInt8]
    ) throws(SystemError) -> Verdict {
        var limits = limits
        var verdict = Verdict()
        if let rules, try apply(rules, connection, &limits, &edits) { verdict.reason = .rule }
        verdict.reason = limits.check(connection.remote, children, verdict.reason)
        if verdict.reason == nil, let rates, let rate = limits.rate,
            !rates.take(connection.remote, rate, now: Instant.now.nanoseconds)
        {
            verdict.reason = .limit(.rate, rate.text)
        }
        if let reason = verdict.reason { verdict.message = limits.message(for: reason) }
        return verdict
    }

    /// Whether a rate may have to be kept, by the environment or by a rule.
    var mayHaveRate: Bool { rules != nil || limits.rate != nil }

    /// Whether the rule denies the connection.
    private func apply(
        _ path: ByteString, _ connection: Connection, _ limits: inout Limits,
        _ edits: inout [UInt8]
    ) throws(SystemError) -> Bool {
        let file: RulesFile
        do throws(SystemError) { file = try RulesFile(path) } catch {
            if error.errno == .noEntry && allowsWithoutRules { return false }
            throw error
        }
        var isDenied = false
        do throws(CDBError<SystemError>) {
            var rules = try AccessRules(file)
            _ = try rules.apply(connection.query) { item in
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
            switch error {
            case .unreadable(let cause): throw cause
            case .corrupt: throw SystemError("read", .protocolError, subject: path)
            }
        }
        return isDenied
    }
}
