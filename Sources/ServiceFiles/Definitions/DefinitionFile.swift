import Bytes

/// The files of a service directory that say what the service asks for, by the program that introduced them.
public enum DefinitionFile: UInt8, CaseIterable, Sendable {
    // Their order is that of the words below.
    /// daemontools': the program, and the wish not to start it.
    case run, down
    /// Apus's.
    case settings
    /// runit's, and `finish` s6's too.
    case finish, control
    /// s6's.
    case notificationFd, timeoutFinish, timeoutKill, flagTimeoutKillpg, downSignal, reloadSignal
    case lockFd, maxDeathTally, flagNewpidns
    /// s6-rc's.
    case type, dependencies, dependenciesD, contents, contentsD, up, timeoutUp, timeoutDown
    case producerFor, consumerFor, pipelineName, flagEssential, flagRecommended
    /// daemontools-encore's.
    case start, stop, notify, noSetsid

    private static let words = WordList(
        """
        run down settings finish control \
        notification-fd timeout-finish timeout-kill flag-timeout-killpg down-signal reload-signal \
        lock-fd max-death-tally flag-newpidns \
        type dependencies dependencies.d contents contents.d up timeout-up timeout-down \
        producer-for consumer-for pipeline-name flag-essential flag-recommended \
        start stop notify no-setsid
        """)

    /// The file called `name`, if it is one of these.
    init?(named name: ByteString) {
        guard let place = DefinitionFile.words.index(of: name) else { return nil }
        self.init(rawValue: UInt8(place))
    }

    /// Its name.
    public var name: ByteString { DefinitionFile.words[Int(rawValue)] }

    /// Whether it is a directory.
    var isDirectory: Bool {
        switch self {
        case .control, .dependenciesD, .contentsD: true
        default: false
        }
    }

    /// Whether only s6 knows it, so that a directory that has it is s6's. Those of s6-rc have more common names.
    var isOfS6Alone: Bool {
        (DefinitionFile.notificationFd.rawValue...DefinitionFile.flagNewpidns.rawValue)
            .contains(rawValue)
    }
}

/// Which of the files a directory has.
struct DefinitionFiles: Equatable, Sendable {
    private var bits: UInt64 = 0

    mutating func insert(_ file: DefinitionFile) { bits |= 1 << UInt64(file.rawValue) }

    func contains(_ file: DefinitionFile) -> Bool { bits >> UInt64(file.rawValue) & 1 == 1 }

    /// Whether any of them is of s6 alone.
    var areOfS6: Bool { DefinitionFile.allCases.contains { contains($0) && $0.isOfS6Alone } }
}
