import Bytes

/// What a line of the file `settings` may begin with.
public enum SettingName: UInt8, CaseIterable, Sendable {
    // Their order is that of the words below.
    case type, needs, wants, after, before, contents
    case ready, readyTimeout, readyFailure, watchdog
    case restart, restartDelay, restartLimit, success, final, onEnd, onFailure, essential
    case stopSignal, reloadSignal, stopTimeout, stopReach, finishTimeout, finishArguments
    case upTimeout, downTimeout
    case environment, listen, startOnConnection, fdStore

    private static let words = WordList(
        """
        type needs wants after before contents ready ready-timeout ready-failure watchdog \
        restart restart-delay restart-limit success final on-end on-failure essential \
        stop-signal reload-signal stop-timeout stop-reach finish-timeout finish-arguments \
        up-timeout down-timeout environment listen start-on-connection fd-store
        """)

    /// The one that `word` names.
    init?(named word: ByteString) {
        guard let place = SettingName.words.index(of: word) else { return nil }
        self.init(rawValue: UInt8(place))
    }

    /// How it is written.
    public var word: ByteString { SettingName.words[Int(rawValue)] }

    /// Whether several lines of it add up. Any other may stand once.
    var isList: Bool {
        switch self {
        case .needs, .wants, .after, .before, .contents, .success, .final, .listen: true
        default: false
        }
    }

    /// Whether it says something of a thing of this kind.
    func suits(_ kind: ServiceDefinition.Kind) -> Bool {
        switch self {
        case .type, .needs, .wants, .after, .before: true
        case .contents: kind == .bundle
        case .upTimeout, .downTimeout: kind == .oneshot
        case .ready, .readyTimeout, .readyFailure, .watchdog, .startOnConnection, .fdStore,
            .finishTimeout, .finishArguments, .reloadSignal:
            kind == .longrun
        default: kind != .bundle
        }
    }

    /// The name that was perhaps meant by `word`; nil when none is near.
    static func nearest(to word: ByteString) -> ByteString? {
        nearestWord(to: word, among: words.words)
    }
}

/// The end of a complaint about a word: what may have been meant.
func hint(_ word: ByteString?) -> ByteString {
    guard let word else { return "" }
    return ", did you mean \"\(word)\"?"
}

/// The word that is the fewest mistakes in typing away from `word`, if they are few.
func nearestWord(to word: ByteString, among words: [ByteString]) -> ByteString? {
    // Longer than any name: no need to compare.
    guard word.count <= 32 else { return nil }
    var best: (word: ByteString, distance: Int)?
    for candidate in words {
        let distance = editDistance(Array(word.bytes), Array(candidate.bytes))
        let limit = candidate.count <= 4 ? 1 : candidate.count <= 8 ? 2 : 3
        if distance <= limit && distance < best?.distance ?? .max { best = (candidate, distance) }
    }
    return best?.word
}

/// How many letters have to be added, left out, replaced, or exchanged with the next to get from one to the other.
private func editDistance(_ left: [UInt8], _ right: [UInt8]) -> Int {
    var beforeLast: [Int] = []
    var last = Array(0...right.count)
    for (i, letter) in left.enumerated() {
        var row = [i + 1]
        for (j, other) in right.enumerated() {
            var cost = min(last[j + 1], row[j]) + 1
            cost = min(cost, last[j] + (letter == other ? 0 : 1))
            if i > 0, j > 0, letter == right[j - 1], left[i - 1] == other {
                cost = min(cost, beforeLast[j - 1] + 1)
            }
            row.append(cost)
        }
        (beforeLast, last) = (last, row)
    }
    return last[right.count]
}
