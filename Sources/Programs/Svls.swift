import Confinement
import Formats
import Linux

/// svls(8): lists the services of a scan directory, or says how they are confined.
func svls(_ call: Call) throws(Failure) -> Outcome {
    let usage = Failure(usage: "svls [ -c ] [ directory ]")
    var showsConfinement = false
    var reader = OptionReader(
        call.arguments, short: "c", long: [LongOption("confinement", letter: "c")],
        messages: call.messages)
    while let option = reader.next() {
        guard case .option("c", _) = option else { throw usage }
        showsConfinement = true
    }
    if call.arguments.count > reader.operands + 1 { throw usage }
    let services = try listServices(call.operand(reader.operands, else: "/service"))
    var text = ByteString()
    var code: Int32 = 0
    if showsConfinement {
        let own = try ProcessFacts.read("self")
        for service in services { text.append(describe(service, comparedTo: own, &code)) }
    } else {
        text = table(services)
    }
    do throws(SystemError) { try writeAll(Standard.output, Array(text.bytes)) } catch {
        throw error.explained("unable to write output")
    }
    return .exit(code)
}

/// A service as its files describe it.
private struct ListedService {
    let name: ByteString
    var state: ByteString
    var pid: UInt32 = 0
    var seconds: UInt64?

    init(_ name: ByteString, in place: Directory) {
        self.name = name
        state = "unsupervised"
        do throws(SystemError) { try look(in: place) } catch {
            if error.errno != .noEntry { state = "\(error.errno.text)" }
        }
    }

    private mutating func look(in place: Directory) throws(SystemError) {
        let directory = try openFile(name, .place, in: place)
        if try isSupervised(in: Directory(directory)) {
            take(try status(in: Directory(directory)))
        }
    }

    private func status(in directory: Directory) throws(SystemError) -> StatusRecord? {
        let file = try openFile("supervise/status", .read, in: directory)
        return try readStatus(file)
    }

    private mutating func take(_ status: StatusRecord?) {
        guard let status else { return state = "bad status" }
        pid = status.pid
        seconds = age(of: status)
        state = pid == 0 ? "down" : status.isPaused ? "paused" : "up"
    }
}

/// The services in a scan directory, each followed by its logger, by name.
private func listServices(_ path: ByteString) throws(Failure) -> [ListedService] {
    do throws(SystemError) {
        let place = try openFile(path, .place)
        let names = try entries(of: ".", in: Directory(place))
        return listServices(names, in: Directory(place))
    } catch { throw error.explained("unable to read directory \(path)") }
}

private func listServices(_ names: [ByteString], in place: Directory) -> [ListedService] {
    var services: [ListedService] = []
    for name in names.sorted(by: { $0 < $1 })
    where !name.hasPrefix(".") && isDirectory(name, in: place) {
        services.append(ListedService(name, in: place))
        let log: ByteString = "\(name)/log"
        if isDirectory(log, in: place) { services.append(ListedService(log, in: place)) }
    }
    return services
}

/// What cannot be told is shown as a service with its error.
private func isDirectory(_ path: ByteString, in place: Directory) -> Bool {
    do throws(SystemError) { return try status(of: path, in: place).isDirectory } catch {
        return error.errno != .noEntry
    }
}

private func table(_ services: [ListedService]) -> ByteString {
    var rows: [[ByteString]] = [["service", "state", "pid", "seconds"]]
    for service in services {
        rows.append([
            service.name, service.state, service.pid == 0 ? "-" : "\(service.pid)",
            service.seconds.map { "\($0)" } ?? "-",
        ])
    }
    let widths = (0..<4).map { column in rows.reduce(0) { max($0, $1[column].count) } }
    var text = ByteString()
    for row in rows {
        for (column, word) in row.enumerated() {
            let pad = blanks(widths[column] - word.count)
            // Words to the left, numbers to the right.
            text.append(column < 2 ? "\(word)\(pad)  " : "\(pad)\(word)")
            text.append(column == 2 ? "  " : column == 3 ? "\n" : "")
        }
    }
    return text
}

private func blanks(_ count: Int) -> ByteString {
    ByteString([UInt8](repeating: UInt8(ascii: " "), count: count))
}

/// What /proc tells of a process.
private struct ProcessFacts {
    let audit: Audit
    let limits: [ByteString]
    /// Kind and identity of its namespaces; nil when they may not be seen.
    let namespaces: [(kind: ByteString, identity: ByteString)]?

    static func read(_ process: ByteString) throws(Failure) -> ProcessFacts {
        let path: ByteString = "/proc/\(process)"
        do throws(SystemError) {
            let place = try openFile(path, .place)
            let directory = Directory(place)
            let status = try contents(of: "status", limit: 1 << 20, in: directory)
            let limits = try contents(of: "limits", limit: 1 << 16, in: directory)
            guard let audit = Audit(status: status) else {
                throw SystemError("read", .protocolError)
            }
            return ProcessFacts(
                audit: audit, limits: Confinement.limits(in: limits),
                namespaces: try namespaces(in: directory))
        } catch { throw error.explained("unable to read \(path)") }
    }

    private static func namespaces(in directory: Directory) throws(SystemError)
        -> [(kind: ByteString, identity: ByteString)]?
    {
        var found: [(kind: ByteString, identity: ByteString)] = []
        do throws(SystemError) {
            for kind in try entries(of: "ns", in: directory).sorted(by: { $0 < $1 }) {
                found.append((kind, try readLink("ns/\(kind)", in: directory)))
            }
        } catch {
            if error.errno == .accessDenied || error.errno == .notPermitted { return nil }
            throw error
        }
        return found
    }
}

private func describe(
    _ service: ListedService, comparedTo own: ProcessFacts, _ code: inout Int32
) -> ByteString {
    if service.pid == 0 { return "\(service.name): \(service.state)\n" }
    let facts: ProcessFacts
    do throws(Failure) { facts = try ProcessFacts.read("\(service.pid)") } catch {
        code = 111
        let cause: StaticString = error.errno?.text ?? ""
        return "\(service.name): \(error.text): \(cause)\n"
    }
    let audit = facts.audit
    var text: ByteString =
        "\(service.name): \(audit.word), \(audit.points) of 100 (\(audit.name), pid \(service.pid))\n"
    func add(_ label: StaticString, _ value: ByteString) {
        let pad = blanks(14 - label.utf8CodeUnitCount)
        text.append("    \(label)\(pad)\(value)\n")
    }
    add("points", list(audit.exposures.map { "\($0.text) \($0.points)" }))
    add("user", ids(audit.users) { name(ofUser: $0) })
    add("group", ids(audit.groups) { name(ofGroup: $0) })
    add("groups", list(audit.moreGroups.map { name(ofGroup: $0) }))
    let sets = audit.capabilities
    add("permitted", sets.permitted.list)
    add("effective", sets.effective.list)
    add("inheritable", sets.inheritable.list)
    add("ambient", sets.ambient.list)
    add("bounding", sets.bounding.list)
    add("no_new_privs", audit.noNewPrivileges ? "yes" : "no")
    add("seccomp", seccomp(audit))
    add("limits", list(differences(facts.limits, own.limits), none: "the same"))
    add("namespaces", namespaces(facts, own))
    return text
}

private func list(_ words: [ByteString], none: StaticString = "none") -> ByteString {
    if words.isEmpty { return "\(none)" }
    return ByteString(words.map { Array($0.bytes) }.joined(separator: Array(", ".utf8)))
}

/// One where all are the same; else real, effective, saved, file system.
private func ids(_ ids: [UInt32], _ name: (UInt32) -> ByteString) -> ByteString {
    let areSame = ids.allSatisfy { $0 == ids.first }
    return list((areSame ? Array(ids.prefix(1)) : ids).map(name))
}

private func name(ofUser id: UInt32) -> ByteString {
    do throws(SystemError) { return try Account.name(of: id) ?? "\(id)" } catch { return "\(id)" }
}

private func name(ofGroup id: UInt32) -> ByteString {
    do throws(SystemError) { return try groupName(of: id) ?? "\(id)" } catch { return "\(id)" }
}

private func seccomp(_ audit: Audit) -> ByteString {
    switch audit.seccompMode {
    case 0: return "none"
    case 1: return "strict"
    default: return audit.filterCount.map { "filter, \($0)" } ?? "filter"
    }
}

/// The limits that are not ours, by their names in prlimit(1).
private func differences(_ limits: [ByteString], _ own: [ByteString]) -> [ByteString] {
    zip(Resource.allCases, zip(limits, own)).compactMap { resource, pair in
        pair.0 == pair.1 ? nil : "\(resource.name)=\(pair.0)"
    }
}

private func namespaces(_ facts: ProcessFacts, _ own: ProcessFacts) -> ByteString {
    guard let theirs = facts.namespaces, let ours = own.namespaces else { return "unknown" }
    let others = theirs.filter { one in !ours.contains { $0 == one } }
    return list(others.map { $0.kind }, none: "the same")
}
