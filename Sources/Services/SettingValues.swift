import Bytes
import Formats

extension Settings.Line {
    /// Puts what the line says into a definition.
    func apply(to definition: inout ServiceDefinition) throws(SettingMistake) {
        switch name {
        case .type: definition.kind = try choice(WordList("longrun oneshot bundle"))
        case .needs: try addNames(to: &definition.needs)
        case .wants: try addNames(to: &definition.wants)
        case .after: try addNames(to: &definition.after)
        case .before: try addNames(to: &definition.before)
        case .contents: try addNames(to: &definition.contents)

        case .ready: definition.readiness = try readiness()
        case .readyTimeout: definition.readyLimit = try timeOrNever()
        case .readyFailure: definition.ifLate = try choice(WordList("fail restart proceed"))
        case .watchdog: definition.watchdog = try timeOrNever()

        case .restart: definition.restart = try choice(WordList("always on-failure never"))
        case .restartDelay: (definition.delay, definition.longestDelay) = try delays()
        case .restartLimit: (definition.restartLimit, definition.limitWindow) = try restartLimit()
        case .success: try addEndings(to: &definition.successes)
        case .final: try addEndings(to: &definition.finals)
        case .onEnd: definition.onEnd = try consequence()
        case .onFailure: definition.onFailure = try consequence()
        case .essential:
            try expect(0, "nothing")
            definition.isEssential = true

        case .stopSignal: definition.stopSignal = try signal()
        case .reloadSignal: definition.reloadSignal = try signal()
        case .stopTimeout: definition.stopLimit = try timeOrNever()
        case .stopReach: definition.stopReach = try choice(WordList("process group everything"))
        case .finishTimeout: definition.finishLimit = try timeOrNever()
        case .finishArguments: definition.dialect = try choice(WordList("runit s6"))
        case .upTimeout: definition.upLimit = try timeOrNever()
        case .downTimeout: definition.downLimit = try timeOrNever()

        case .environment: definition.environment = try one("the name of a directory")
        case .listen:
            if definition.sockets.count == Settings.mostSockets {
                throw SettingMistake("more than \(Settings.mostSockets) sockets")
            }
            definition.sockets.append(try socket())
        case .startOnConnection:
            try expect(0, "nothing")
            definition.startsOnConnection = true
        case .fdStore:
            definition.storeLimit = UInt32(try number(try one("a number"), 0...Settings.mostStored))
        }
    }

    // MARK: Words

    private func wrong(_ text: ByteString) -> SettingMistake {
        SettingMistake("\"\(name.word)\" wants \(text)")
    }

    private func wrong(_ word: ByteString, _ text: ByteString) -> SettingMistake {
        SettingMistake("\"\(word.visible)\" is \(text)")
    }

    private func expect(_ count: Int, _ text: ByteString) throws(SettingMistake) {
        if words.count != count { throw wrong(text) }
    }

    private func one(_ text: ByteString) throws(SettingMistake) -> ByteString {
        guard words.count == 1, let word = words.first, !word.isEmpty else { throw wrong(text) }
        return word
    }

    private func choice<Value: RawRepresentable<UInt8>>(_ list: WordList) throws(SettingMistake)
        -> Value
    {
        let choices: ByteString = "one of \(ByteString(list.words, joinedBy: ", "))"
        let word = try one(choices)
        guard let place = list.index(of: word), let value = Value(rawValue: UInt8(place)) else {
            throw wrong(word, "not \(choices)\(hint(nearestWord(to: word, among: list.words)))")
        }
        return value
    }

    private func number(_ word: ByteString, _ range: ClosedRange<Int>) throws(SettingMistake) -> Int
    {
        guard let value = parseDecimal(word, within: range) else {
            throw wrong(word, "no number from \(range.lowerBound) to \(range.upperBound)")
        }
        return value
    }

    // MARK: Lists. What is right in a line counts, whatever else is in it.

    private func addNames(to list: inout [ByteString]) throws(SettingMistake) {
        if words.isEmpty { throw wrong("one or more names of services") }
        var bad: ByteString?
        for word in words {
            if Settings.isServiceName(word) { list.append(word) } else { bad = bad ?? word }
        }
        if let bad { throw wrong(bad, "no name of a service") }
    }

    private func addEndings(to list: inout [ServiceDefinition.Ending]) throws(SettingMistake) {
        if words.isEmpty { throw wrong("exit codes and names of signals") }
        var bad: ByteString?
        for word in words {
            let ending: ServiceDefinition.Ending
            if let code = parseDecimal(word, within: 0...255) {
                ending = .code(UInt8(code))
            } else if let signal = SignalNames.number(named: word) {
                ending = .signal(signal)
            } else {
                bad = bad ?? word
                continue
            }
            if !list.contains(ending) { list.append(ending) }
        }
        if let bad {
            throw wrong(bad, "neither an exit code from 0 to 255 nor the name of a signal")
        }
    }

    // MARK: Values

    private func timeOrNever() throws(SettingMistake) -> UInt64? {
        let word = try one("a time, like 10s, or never")
        return word == "never" ? nil : try time(word)
    }

    /// Nanoseconds.
    private func time(_ word: ByteString) throws(SettingMistake) -> UInt64 {
        let (_, length) = scanDecimal(word.bytes)
        let units: [(ByteString, UInt64)] = [
            ("ms", 1_000_000), ("s", 1_000_000_000), ("m", 60_000_000_000),
            ("h", 3_600_000_000_000),
        ]
        let suffix = ByteString(word.bytes.dropFirst(length))
        // A year of hours; nobody waits longer, and nothing overflows.
        guard let unit = units.first(where: { $0.0 == suffix })?.1,
            let count = parseDecimal(
                ByteString(word.bytes.prefix(length)),
                within: 0...Int(31_536_000_000_000_000 / unit))
        else {
            throw wrong(word, "no time: a number up to a year and ms, s, m or h, like 500ms or 10s")
        }
        if count == 0 { throw wrong(word, "no time: it must be more than nothing") }
        return UInt64(count) * unit
    }

    private func delays() throws(SettingMistake) -> (UInt64, UInt64) {
        guard words.count == 1 || words.count == 2 else {
            throw wrong("a time, or a first and a longest one")
        }
        let first = try time(words[0])
        let longest = words.count == 2 ? try time(words[1]) : first
        if longest < first { throw SettingMistake("the longest delay is shorter than the first") }
        return (first, longest)
    }

    private func restartLimit() throws(SettingMistake) -> (UInt32, UInt64) {
        guard words.count == 3, words[1] == "in" else {
            throw wrong("a number and a time, like 5 in 10s")
        }
        return (UInt32(try number(words[0], 1...4096)), try time(words[2]))
    }

    private func signal() throws(SettingMistake) -> Int32 {
        let word = try one("a signal, like HUP")
        guard let number = SignalNames.number(of: word) else { throw wrong(word, "no signal") }
        return number
    }

    private func consequence() throws(SettingMistake) -> ServiceDefinition.Consequence {
        switch words.first ?? "" {
        case "nothing" where words.count == 1: return .nothing
        case "restart-dependents" where words.count == 1: return .restartDependents
        case "run" where words.count == 2:
            guard Settings.isServiceName(words[1]) else {
                throw wrong(words[1], "no name of a service")
            }
            return .run(words[1])
        default: throw wrong("nothing, restart-dependents, or run and the name of a service")
        }
    }

    private func readiness() throws(SettingMistake) -> ServiceDefinition.Readiness {
        let value = words.count == 2 ? words[1] : ""
        switch words.first ?? "" {
        case "start" where words.count == 1: return .start
        case "notify" where words.count == 1: return .notify
        case "notification-fd" where words.count == 2:
            return .descriptor(Int32(try number(value, 3...65_535)))
        case "command" where !value.isEmpty: return .command(value)
        case "tcp" where words.count == 2: return .tcp(try endpoint(value))
        case "unix" where words.count == 2: return .unix(try socketPath(value))
        default: break
        }
        throw wrong(
            """
            start, notify, notification-fd NUMBER, command WORDS, tcp ADDRESS:PORT or unix PATH
            """)
    }

    private func socket() throws(SettingMistake) -> ServiceDefinition.Socket {
        let list = WordList("tcp udp unix unix-datagram")
        guard words.count == 2 || words.count == 3, let place = list.index(of: words[0]),
            let kind = ServiceDefinition.Socket.Kind(rawValue: UInt8(place))
        else {
            throw wrong("tcp, udp, unix or unix-datagram, an address, and perhaps a name")
        }
        let isPath = kind == .unix || kind == .unixDatagram
        let name = words.count == 3 ? words[2] : ServiceDefinition.Socket.defaultName
        // What LISTEN_FDNAMES can carry. sd_listen_fds(3).
        guard (1...255).contains(name.count), name.bytes.allSatisfy({ (33...126).contains($0) }),
            !name.contains(UInt8(ascii: ":"))
        else { throw wrong(name, "no name of a socket: printable, without blanks and colons") }
        return ServiceDefinition.Socket(
            kind: kind, address: isPath ? try socketPath(words[1]) : try endpoint(words[1]),
            name: name)
    }

    private func endpoint(_ word: ByteString) throws(SettingMistake) -> ByteString {
        if ServiceDefinition.endpoint(word) == nil {
            throw wrong(
                word, "no address: write 127.0.0.1:80 or [::1]:80, as names are not looked up")
        }
        return word
    }

    private func socketPath(_ word: ByteString) throws(SettingMistake) -> ByteString {
        // sun_path with its NUL, unix(7).
        if !(1...107).contains(word.count) || !word.hasPrefix("/") {
            throw wrong("a path from / of at most 107 bytes")
        }
        return word
    }
}

extension ServiceDefinition.Socket {
    /// The name of a socket that was given none. sd_listen_fds_with_names(3).
    public static let defaultName: ByteString = "unknown"
}

extension ServiceDefinition {
    /// The address and the port of `192.0.2.1:80` or `[2001:db8::1]:80`; nil for anything else.
    public static func endpoint(_ text: ByteString) -> (address: IPAddress, port: UInt16)? {
        guard let colon = text.bytes.lastIndex(of: UInt8(ascii: ":")),
            let port = parseDecimal(
                ByteString(text.bytes[(colon + 1)...]), within: 1...Int(UInt16.max))
        else { return nil }
        var host = text.bytes[..<colon]
        let isBracketed = host.first == UInt8(ascii: "[") && host.last == UInt8(ascii: "]")
        if isBracketed { host = host.dropFirst().dropLast() }
        guard host.contains(UInt8(ascii: ":")) == isBracketed, let address = IPAddress(host) else {
            return nil
        }
        return (address, UInt16(port))
    }
}
