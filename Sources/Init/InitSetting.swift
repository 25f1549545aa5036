import Bytes
import Formats
import Linux

/// What `init` can be told: by an option, or by a variable, where no more than the environment can be given to a
/// container. Options win.
public enum InitSetting: CaseIterable, Sendable {
    /// The service directory.
    case services
    /// How long the stop may take.
    case stopTimeout
    /// Whether the main command waits for the services, and how long.
    case wait
    /// Signals that are to mean others.
    case rewrite
    /// What the lines look like that services write to the container's output.
    case output
    /// How much is said.
    case verbosity

    /// Its variable.
    public var variable: ByteString {
        switch self {
        case .services: "INIT_SERVICES"
        case .stopTimeout: "INIT_STOP_TIMEOUT"
        case .wait: "INIT_WAIT"
        case .rewrite: "INIT_REWRITE"
        case .output: "INIT_OUTPUT"
        case .verbosity: "INIT_VERBOSITY"
        }
    }

    /// Its option with one dash.
    public var letter: Unicode.Scalar {
        switch self {
        case .services: "s"
        case .stopTimeout: "t"
        case .wait: "w"
        case .rewrite: "r"
        case .output: "o"
        case .verbosity: "v"
        }
    }

    /// Its option with two dashes.
    public var word: ByteString {
        switch self {
        case .services: "services"
        case .stopTimeout: "stop-timeout"
        case .wait: "wait"
        case .rewrite: "rewrite"
        case .output: "output"
        case .verbosity: "verbosity"
        }
    }

    /// What its value is, for people.
    public var expectation: ByteString {
        switch self {
        case .services: "a directory"
        case .stopTimeout: "a number of seconds up to 86400"
        case .wait: "yes, no or a number of seconds up to 86400"
        case .rewrite: "pairs of signals such as TERM:QUIT"
        case .output: "plain, names or json"
        case .verbosity: "0, 1 or 2"
        }
    }
}

extension Init.Options {
    /// Takes the variables. Returns those that mean nothing, which leave what holds without them.
    public mutating func read(_ environment: Environment) -> [(InitSetting, value: ByteString)] {
        var wrong: [(InitSetting, value: ByteString)] = []
        for setting in InitSetting.allCases {
            guard let value = environment[setting.variable] else { continue }
            if setting == .rewrite {
                let kept = rewrites
                let words = value.parts(separatedBy: UInt8(ascii: " ")).filter { !$0.isEmpty }
                if words.allSatisfy({ set(setting, $0) }) && !words.isEmpty { continue }
                rewrites = kept
            } else if set(setting, value) {
                continue
            }
            // As Dockerfiles and composed files unset what they cannot remove.
            if value.isEmpty && setting != .stopTimeout { continue }
            wrong.append((setting, value))
        }
        return wrong
    }

    /// Sets one. Returns false, and changes nothing, when the value means nothing.
    public mutating func set(_ setting: InitSetting, _ value: ByteString) -> Bool {
        switch setting {
        case .services:
            if value.isEmpty { return false }
            services = value
            servicesAreExplicit = true
        case .stopTimeout:
            guard let limit = Init.Options.milliseconds(value) else { return false }
            stopLimit = limit
        case .wait: return setWait(value)
        case .rewrite: return rewrites.add(value)
        case .output: return setOutput(value)
        case .verbosity:
            guard let level = parseDecimal(value, within: 0...2) else { return false }
            verbosity = Int(level)
        }
        return true
    }

    private mutating func setWait(_ value: ByteString) -> Bool {
        switch value {
        case "yes": commandPatience = nil
        case "no":
            commandWaits = false
            return true
        default:
            guard let limit = Init.Options.milliseconds(value) else { return false }
            commandPatience = limit
        }
        commandWaits = commandPatience != 0
        return true
    }

    private mutating func setOutput(_ value: ByteString) -> Bool {
        switch value {
        case "plain": lineForm = nil
        case "names": lineForm = .named(inColour: true)
        case "json": lineForm = .json
        default: return false
        }
        return true
    }

    /// Milliseconds; nil unless `text` is a number of seconds, up to a day.
    private static func milliseconds(_ text: ByteString) -> UInt64? {
        parseDecimal(text, within: 0...86400).map { UInt64($0) * 1000 }
    }
}
