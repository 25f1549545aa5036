import Bytes
import Foundation

@testable import Formats
@testable import Networking

/// A format in which others send something over the network, or leave it in a file, for tests that read
/// anything as one. Each `take` reads the bytes in two ways that must agree.
enum NetworkFormat: String, CaseIterable {
    case cdb, dns, ident, notify, proxy, rules, smtp

    /// Reads `bytes`.
    func take(_ bytes: [UInt8]) {
        switch self {
        case .cdb: takeDatabase(bytes)
        case .dns: takeAnswer(bytes)
        case .ident: takeIdent(bytes)
        case .notify: takeNotification(bytes)
        case .proxy: takeProxy(bytes)
        case .rules: takeRules(bytes)
        case .smtp: takeConversation(bytes)
        }
    }

    /// Files to begin with.
    var seeds: [[UInt8]] {
        get throws {
            let directory = URL(fileURLWithPath: #filePath).resolvingSymlinksInPath()
                .deletingLastPathComponent().appendingPathComponent("seeds/\(rawValue)")
            return try FileManager.default.contentsOfDirectory(
                at: directory, includingPropertiesForKeys: nil
            ).sorted { $0.path < $1.path }.map { Array(try Data(contentsOf: $0)) }
        }
    }
}

// MARK: - cdb

/// A file in memory. Reading beyond it is a mistake of the reader.
private struct BytesSource: CDBSource {
    private let storage: [UInt8]
    private let window: UnsafeMutableRawBufferPointer
    let count: Int

    init(_ bytes: [UInt8], _ window: UnsafeMutableRawBufferPointer) {
        storage = bytes
        count = bytes.count
        self.window = window
        window.copyBytes(from: bytes)
    }

    mutating func bytes(at position: Int, count: Int) throws(Never) -> UnsafeRawBufferPointer {
        precondition(position >= 0 && count >= 0 && position + count <= self.count)
        return UnsafeRawBufferPointer(rebasing: window[position..<(position + count)])
    }

    mutating func expectScan(_ isScanned: Bool) {}
}

private func withSource(_ bytes: [UInt8], _ body: (BytesSource) throws -> Void) {
    let window = UnsafeMutableRawBufferPointer.allocate(byteCount: bytes.count + 1, alignment: 8)
    defer { window.deallocate() }
    // What is no database is said to be none: that is all that can go wrong.
    do { try body(BytesSource(bytes, window)) } catch { precondition(error is CDBError<Never>) }
}

private func find(_ key: [UInt8], _ reader: inout CDBReader<BytesSource>) throws -> [UInt8]? {
    try key.withUnsafeBufferPointer { (key) throws(CDBError<Never>) -> [UInt8]? in
        try reader.find(UnsafeRawBufferPointer(key)).map { Array($0) }
    }
}

/// The bytes are a file, and then the records of one: a byte for the length of a key, one for that of the
/// data, and both.
private func takeDatabase(_ bytes: [UInt8]) {
    withSource(bytes) { source in
        var unverified = try CDBReader(source)
        _ = try? find([1], &unverified)
        var keys: [[UInt8]] = []
        var reader = try CDBReader(source)
        try reader.verify { keys.append(Array($0)) }
        for key in keys {
            let found = try find(key, &reader)
            precondition(found != nil, "a record of a whole file is not found")
        }
    }
    var builder = CDBBuilder()
    var expected: [[UInt8]: [UInt8]] = [:]
    var rest = bytes[...]
    while let keyCount = rest.popFirst(), let dataCount = rest.popFirst() {
        let key = Array(rest.prefix(Int(keyCount)))
        rest = rest.dropFirst(key.count)
        let data = Array(rest.prefix(Int(dataCount)))
        rest = rest.dropFirst(data.count)
        guard builder.add(key: key, data: data) else { preconditionFailure("too large") }
        if expected[key] == nil { expected[key] = data }
    }
    var file: [UInt8] = []
    let header = builder.finish { file += $0 }
    file.replaceSubrange(0..<header.count, with: header)
    var isWhole = false
    withSource(file) { source in
        var reader = try CDBReader(source)
        try reader.verify { precondition(expected[Array($0)] != nil) }
        for (key, data) in expected {
            let found = try find(key, &reader)
            precondition(found == data, "another record than the first of this key")
        }
        isWhole = true
    }
    precondition(isWhole, "what was built is not taken for whole")
}

// MARK: - Access rules

private let addresses = [
    "10.1.2.3", "192.0.2.1", "255.255.255.255", "0.0.0.0", "2001:db8::1", "::1", "unix",
]

/// The bytes are the text of rules.
private func takeRules(_ bytes: [UInt8]) {
    guard let plain = compile(bytes, findsUnreachable: false) else {
        precondition(compile(bytes, findsUnreachable: true) == nil)
        return
    }
    precondition(compile(bytes, findsUnreachable: true) == plain, "warnings change the rules")
    var isWhole = false
    withSource(plain) { source in
        var rules = try AccessRules(source)
        let dependOnNames = try rules.verify()
        for address in addresses {
            let byAddress = try outcome(AccessQuery(address: Array(address.utf8)), &rules)
            let named = AccessQuery(
                address: Array(address.utf8), host: Array("a.example".utf8),
                info: Array("joe".utf8))
            let byName = try outcome(named, &rules)
            precondition(dependOnNames || byName == byAddress, "a name counts though none does")
        }
        isWhole = true
    }
    precondition(isWhole, "what was compiled is not taken for whole")
}

private func outcome(_ query: AccessQuery, _ rules: inout AccessRules<BytesSource>) throws
    -> [String]
{
    var items: [String] = []
    _ = try rules.apply(query) { item in
        switch item {
        case .deny: items.append("deny")
        case .variable(let text): items.append(String(decoding: text, as: UTF8.self))
        }
        return true
    }
    return items
}

private func compile(_ text: [UInt8], findsUnreachable: Bool) -> [UInt8]? {
    var compiler = AccessRuleCompiler(findsUnreachable: findsUnreachable)
    var file: [UInt8] = []
    do throws(AccessRuleError) {
        for line in text.split(separator: UInt8(ascii: "\n")) {
            let isReachable = try compiler.add(line)
            precondition(isReachable || findsUnreachable)
            compiler.takeBlock { file += $0 }
        }
        try compiler.complete()
    } catch { return nil }
    let header = compiler.finish { file += $0 }
    file.replaceSubrange(0..<header.count, with: header)
    return file
}

// MARK: - DNS

/// The bytes are the flags and the number of answers of a reply to a question, and what follows the
/// question; and a name to be asked about.
private func takeAnswer(_ bytes: [UInt8]) {
    guard let query = DNSQuery(Array("1.2.0.192.list.example".utf8), .text, id: 0x1234) else {
        preconditionFailure("no query")
    }
    precondition(DNSAnswer(bytes, to: query) == nil || bytes.count >= query.bytes.count)
    if bytes.count >= 4 {
        let header = Array(query.bytes[..<2]) + bytes[..<2] + [0, 1] + bytes[2..<4] + [0, 0, 0, 0]
        let reply = header + query.bytes[12...] + bytes[4...]
        if let answer = DNSAnswer(reply, to: query) {
            precondition(reply[2] & 0x80 != 0)
            for type in [DNSRecordType.text, .address] {
                let found = answer.data(type).map { $0.map { Array($0) } }
                precondition(found == records(of: type, in: reply, at: query.bytes.count))
                for record in found ?? [] {
                    precondition(joinedText(record[...]).count <= record.count)
                }
            }
        }
    }
    takeName(bytes)
}

/// A second reader of records: by index and recursion-free, nil where the message is cut off.
private func records(of type: DNSRecordType, in message: [UInt8], at start: Int) -> [[UInt8]]? {
    var place = start
    var found: [[UInt8]] = []
    for _ in 0..<(Int(message[6]) * 256 + Int(message[7])) {
        while true {
            guard place < message.count else { return nil }
            let length = Int(message[place])
            if length >= 192 {
                place += 2
                break
            }
            if length >= 64 { return nil }
            place += 1 + length
            if length == 0 { break }
        }
        guard place + 10 <= message.count else { return nil }
        let fields = (0..<5).map {
            Int(message[place + 2 * $0]) * 256 + Int(message[place + 2 * $0 + 1])
        }
        place += 10
        guard place + fields[4] <= message.count else { return nil }
        if fields[0] == Int(type.rawValue), fields[1] == 1 {
            found.append(Array(message[place..<(place + fields[4])]))
        }
        place += fields[4]
    }
    return found
}

/// The labels of a query are those of the name, or there is none.
private func takeName(_ name: [UInt8]) {
    let labels = name.split(separator: UInt8(ascii: ".")).map { Array($0) }
    let isPossible =
        labels.allSatisfy { $0.count <= 63 } && labels.reduce(1) { $0 + $1.count + 1 } <= 255
    guard let query = DNSQuery(name, .address, id: 7) else { return precondition(!isPossible) }
    precondition(isPossible)
    var rest = query.bytes[12...]
    var read: [[UInt8]] = []
    while let length = rest.popFirst(), length > 0 {
        read.append(Array(rest.prefix(Int(length))))
        rest = rest.dropFirst(Int(length))
    }
    precondition(read == labels && rest.elementsEqual([0, 1, 0, 1]))
}

// MARK: - PROXY

private func readProxy(_ bytes: some Collection<UInt8>) -> ProxyHeader.Reading {
    Array(bytes).withUnsafeBytes { ProxyHeader.read($0) }
}

/// However a header comes in, it is the same one, and it is not known before its last byte.
private func takeProxy(_ bytes: [UInt8]) {
    let whole = readProxy(bytes)
    for count in 0..<min(bytes.count, 300) {
        let part = readProxy(bytes[..<count])
        switch whole {
        case .header(let header) where count < header.length: precondition(part == .incomplete)
        case .header: precondition(part == whole)
        case .incomplete: precondition(part == .incomplete)
        case .invalid: if case .header = part { preconditionFailure("a header becomes invalid") }
        }
    }
    guard case .header(let header) = whole else { return }
    precondition(header.length <= bytes.count && header.length <= ProxyHeader.limit)
    guard let ends = header.ends else { return }
    // Mapped addresses are IPv4: such a client has no line of its own family.
    guard ends.client.address.isIPv6 == ends.server.address.isIPv6 else { return }
    let family = ends.client.address.isIPv6 ? "TCP6" : "TCP4"
    let addresses = [ends.client.address, ends.server.address].map {
        String(decoding: $0.text, as: UTF8.self)
    }
    let line =
        "PROXY \(family) \(addresses[0]) \(addresses[1]) \(ends.client.port) \(ends.server.port)\r\n"
    guard case .header(let again) = readProxy(Array(line.utf8)) else {
        preconditionFailure("no header: \(line)")
    }
    precondition(again.ends?.client == ends.client && again.ends?.server == ends.server)
}

// MARK: - Ident

/// What follows the third colon of the first line, without blanks, at most 257 bytes: taken byte by byte
/// and taken at once.
private func takeIdent(_ bytes: [UInt8]) {
    var answer = IdentAnswer()
    _ = bytes.contains { answer.take($0) }
    let blanks = Array(" \t\r".utf8)
    let end = bytes.firstIndex(of: UInt8(ascii: "\n"))
    let line = bytes[..<(end ?? bytes.count)].filter { !blanks.contains($0) }
    let fields = line.split(
        separator: UInt8(ascii: ":"), maxSplits: 3, omittingEmptySubsequences: false)
    let info = fields.count > 3 ? Array(fields[3]) : []
    let isComplete = end != nil || info.count >= 257
    precondition(answer.text == (isComplete ? ByteString(info.prefix(257)) : nil))
}

// MARK: - sd_notify

/// What a datagram says is what its lines say, read one key at a time.
private func takeNotification(_ bytes: [UInt8]) {
    let text = bytes.last == 0 ? Array(bytes.dropLast()) : bytes
    guard let message = NotifyMessage(bytes) else {
        return precondition(bytes.count > NotifyMessage.longest || text.contains(0))
    }
    precondition(bytes.count <= NotifyMessage.longest && !text.contains(0))
    let lines = text.split { $0 == 10 || $0 == 13 }
    func values(_ key: String) -> [[UInt8]] {
        lines.filter { $0.starts(with: Array("\(key)=".utf8)) }.map {
            Array($0.dropFirst(key.utf8.count + 1))
        }
    }
    func isSet(_ key: String, to value: String = "1") -> Bool {
        values(key).contains(Array(value.utf8))
    }
    func number(_ key: String, _ range: ClosedRange<Double>) -> Double? {
        values(key).lazy.filter { !$0.isEmpty && $0.allSatisfy { (48...57).contains($0) } }
            .compactMap { Double(String(decoding: $0, as: UTF8.self)) }.first { range.contains($0) }
    }
    /// Whether a time is the given number of microseconds, as exactly as a Double tells.
    func isDuration(_ time: UInt64?, _ key: String) -> Bool {
        guard let expected = number(key, 0 ... .infinity) else { return time == nil }
        guard let time else { return false }
        return abs(Double(time) - min(expected * 1000, Double(UInt64.max))) <= Double(time) * 1e-12
    }
    if isSet("BARRIER") {
        var barrier = NotifyMessage()
        barrier.isBarrier = true
        return precondition(message == barrier, "something counts beside a barrier")
    }
    precondition(!message.isBarrier)
    precondition(message.isReady == isSet("READY") && message.isStopping == isSet("STOPPING"))
    precondition(
        message.isReloading == isSet("RELOADING")
            && message.resetsRestarts == isSet("RESTART_RESET"))
    precondition(message.storesDescriptors == isSet("FDSTORE"))
    precondition(message.removesDescriptors == isSet("FDSTOREREMOVE"))
    precondition(message.pollsDescriptors == !isSet("FDPOLL", to: "0"))
    precondition(
        (message.watchdog != nil) == (isSet("WATCHDOG") || isSet("WATCHDOG", to: "trigger")))
    precondition(message.errno.map { Double($0) } == number("ERRNO", 0...4095))
    precondition(message.exitStatus.map { Double($0) } == number("EXIT_STATUS", 0...255))
    precondition(message.mainPID.map { Double($0) } == number("MAINPID", 2...Double(Int32.max)))
    precondition(isDuration(message.watchdogInterval, "WATCHDOG_USEC"))
    precondition(isDuration(message.timeExtension, "EXTEND_TIMEOUT_USEC"))
    precondition(isDuration(message.monotonic, "MONOTONIC_USEC"))
    if let name = message.descriptorName {
        precondition(values("FDNAME").contains(Array(name.bytes)) && (1...255).contains(name.count))
        precondition(name.visible == name && !name.contains(UInt8(ascii: ":")))
    }
    guard let status = message.status, let sent = values("STATUS").first else {
        return precondition(message.status == nil && values("STATUS").isEmpty)
    }
    precondition(sent.starts(with: status.bytes) && status.count <= NotifyMessage.longestText)
    precondition(status.count >= min(sent.count, NotifyMessage.longestText - 3), "too much is cut")
}

// MARK: - SMTP

/// The replies to lines that come byte by byte are those to the lines.
private func takeConversation(_ bytes: [UInt8]) {
    var conversation = RefusingSMTP()
    let replies = bytes.compactMap { conversation.take($0) }
    let lines = bytes.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false)
    let expected = lines.dropLast().map { line -> RefusingSMTP.Reply in
        var words = line.split(
            separator: UInt8(ascii: " "), maxSplits: 1, omittingEmptySubsequences: false)
        if words.count == 1, words[0].last == UInt8(ascii: "\r") { words[0].removeLast() }
        // As the original compares: a letter's case is one bit, and so it is of other bytes.
        let verb = String(decoding: words[0].map { $0 | 0x20 }, as: UTF8.self)
        switch verb {
        case "quit": return .goodbye
        case "helo", "ehlo", "mail", "rset", "noop": return .yes
        default: return .no
        }
    }
    precondition(replies == expected, "\(replies) to \(lines.count - 1) lines")
}
