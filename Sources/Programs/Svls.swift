import Bytes
import Commands
import Confinement
import Formats
import Linux
import ServiceFiles

import struct Services.StatePlaces

/// svls(8): lists services, checks them, or says how they are confined.
func svls(_ call: Call) throws(Failure) -> Outcome {
    let usage = Failure(
        usage: "svls [ -c | --json | --check[=seconds] ] [ directory | service ... ]")
    var form = SvlsForm.table
    var reader = OptionReader(call.arguments, SvlsForm.names, call.messages)
    while let result = reader.next() {
        guard case .option(var option, let value) = result, case .table = form else { throw usage }
        if case .check = option, !value.isEmpty {
            guard let milliseconds = parseTimeSpan(value) else { throw usage }
            option = .check(seconds: milliseconds / 1000)
        }
        form = option
    }
    let list = try ServiceList(Array(call.arguments.dropFirst(reader.operands)), call.environment)
    var code: Int32 = list.isChosen ? list.reports.reduce(0) { worse($0, $1.exitCode) } : 0
    switch form {
    case .table: try writeOutput(Array(table(of: list.reports).bytes))
    case .json: try writeOutput(json(of: list.reports))
    case .check(let seconds): code = check(list, seconds, call.messages)
    case .confinement:
        code = 0
        try writeOutput(Array(try confinement(of: list.reports, &code).bytes))
    }
    return .exit(code)
}

/// What svls shows.
private enum SvlsForm {
    /// A line for each service.
    case table
    /// How services are confined.
    case confinement
    /// An array of JSON.
    case json
    /// Nothing, as long as they are ready for so long.
    case check(seconds: UInt64)

    static let names: [OptionName<SvlsForm>] = [
        OptionName("c", .confinement), OptionName(word: "confinement", .confinement),
        OptionName(word: "json", .json),
        OptionName(word: "check", .check(seconds: 0), mayTakeValue: true),
    ]
}

/// The services that svls was asked for.
private struct ServiceList {
    private(set) var reports: [ServiceReport] = []
    /// Whether they were named, and are not just all there are.
    let isChosen: Bool
    private let states: StatePlaces

    /// Those named, or those of a scan directory. One word that is a directory and no service is a scan directory.
    init(_ words: [ByteString], _ environment: Environment) throws(Failure) {
        let names = ServiceNames(environment)
        let isListing = words.isEmpty || words.count == 1 && isScanDirectory(words[0])
        isChosen = !isListing
        states = StatePlaces(ofClientWith: environment)
        if isListing {
            try list(words.first ?? names.scanDirectory)
        } else {
            for word in words {
                reports.append(
                    ServiceReport(name: word, path: names.directory(of: word), states: states))
            }
        }
    }

    /// The services in a scan directory, each followed by its logger, by name.
    private mutating func list(_ path: ByteString) throws(Failure) {
        do throws(SystemError) {
            let place = try openFile(path, .place)
            let directory = Directory(place)
            var names = try entries(of: ".", in: directory)
            names.sortByBytes()
            for name in names where !name.hasPrefix(".") {
                if add(name, in: directory) { _ = add("\(name)/log", in: directory) }
            }
        } catch { throw error.explained("unable to read directory \(path)") }
    }

    /// Adds the service in a directory; false when there is none. What cannot be told is shown as a
    /// service with its error.
    private mutating func add(_ name: ByteString, in place: Directory) -> Bool {
        do throws(SystemError) {
            if !(try status(of: name, in: place).isDirectory) { return false }
        } catch { if error.errno == .noEntry { return false } }
        reports.append(ServiceReport(name: name, path: name, states: states, in: place))
        return true
    }
}

/// Whether a word means a scan directory: there is nothing in it that only services have. A path that leads nowhere does,
/// so that its error is told.
private func isScanDirectory(_ path: ByteString) -> Bool {
    let marks: [ByteString] = ["run", "supervise", "up", "type", "start"]
    do throws(SystemError) {
        if try !status(of: path).isDirectory { return ServiceNames.isPath(path) }
        for mark in marks where try exists("\(path)/\(mark)") { return false }
        return true
    } catch { return ServiceNames.isPath(path) }
}

/// Of two exit codes the one that tells of the worse: 4, then 1, then 3.
private func worse(_ one: Int32, _ other: Int32) -> Int32 {
    let order: [Int32] = [0, 3, 1, 4]
    return (order.firstIndex(of: one) ?? 0) > (order.firstIndex(of: other) ?? 0) ? one : other
}

/// Complains about each that has not been ready for so long. Those that were not named need not be up unless they are
/// wanted up.
private func check(_ list: ServiceList, _ seconds: UInt64, _ messages: Messages) -> Int32 {
    let clock = wallClock()
    let now = TAI64N(unixSeconds: clock.seconds, nanoseconds: clock.nanoseconds)
    var code: Int32 = 0
    for report in list.reports {
        if !list.isChosen, let record = report.record, record.want != StatusRecord.wantsUp {
            continue
        }
        if let complaint = report.complaint(readyFor: seconds, at: now) {
            messages.line("\(report.name): \(complaint)")
            code = 1
        }
    }
    return code
}

private func json(of reports: [ServiceReport]) -> [UInt8] {
    var text: [UInt8] = [UInt8(ascii: "[")]
    for (index, report) in reports.enumerated() {
        text.append(index == 0 ? "\n" : ",\n")
        text += report.json.bytes
    }
    text.append("\n]\n")
    return text
}

// MARK: - Table

/// In columns, below their headings: name and state to the left, process and seconds to the right; `-` for what there
/// is not.
private func table(of reports: [ServiceReport]) -> ByteString {
    let columns = 4
    var words = ByteString("service state pid seconds").parts(separatedBy: UInt8(ascii: " "))
    for report in reports {
        words += [report.name.visible, report.state, report.process, report.seconds]
    }
    var widths = [Int](repeating: 0, count: columns)
    for index in words.indices {
        widths[index % columns] = max(widths[index % columns], words[index].count)
    }
    var text = ByteString()
    for index in words.indices {
        let column = index % columns
        if column >= 2 { text.pad(widths[column] - words[index].count) }
        text.append(words[index])
        if column < 2 { text.pad(widths[column] - words[index].count) }
        text.append(column == 3 ? "\n" : "  ")
    }
    return text
}

extension ServiceReport {
    fileprivate var process: ByteString {
        record.flatMap { $0.pid == 0 ? nil : "\($0.pid)" as ByteString } ?? "-"
    }

    /// The one that runs the program, also where another stands in for it.
    fileprivate var confinedProcess: ByteString {
        record.map { "\(processBehind(ProcessID(truncatingIfNeeded: $0.pid)))" } ?? "-"
    }

    fileprivate var seconds: ByteString { record.map { "\(age(of: $0))" } ?? "-" }
}

extension ByteString {
    @inline(never)
    fileprivate mutating func pad(_ count: Int) {
        for _ in 0..<count { append(" ") }
    }
}

// MARK: - Confinement

private func confinement(of reports: [ServiceReport], _ code: inout Int32) throws(Failure)
    -> ByteString
{
    let own = try ProcessFacts("self")
    var text = ByteString()
    for report in reports {
        let name = report.name.visible
        if report.process == "-" {
            text.append("\(name): \(report.state)\n")
            continue
        }
        do throws(Failure) {
            let process = report.confinedProcess
            let facts = try ProcessFacts(process)
            text.append("\(name): \(facts.described(process, comparedTo: own))")
        } catch {
            code = 111
            text.append("\(name): \(error.text): \(error.errno?.text ?? "")\n")
        }
    }
    return text
}

/// What /proc tells of a process.
private final class ProcessFacts {
    private static let namespaceKinds = ByteString(
        "cgroup ipc mnt net pid pid_for_children time time_for_children user uts"
    ).parts(separatedBy: UInt8(ascii: " "))

    let audit: Audit
    let limits: [ByteString]
    /// The identity of its namespace of each kind, empty where the kernel has none; nil when they may
    /// not be seen.
    let namespaces: [ByteString]?

    init(_ process: ByteString) throws(Failure) {
        let path: ByteString = "/proc/\(process)"
        do throws(SystemError) {
            let place = try openFile(path, .place)
            let directory = Directory(place)
            let status = try contents(of: "status", limit: 1 << 20, in: directory)
            guard let audit = Audit(status: status) else {
                throw SystemError("read", .protocolError)
            }
            self.audit = audit
            limits = Confinement.limits(
                in: try contents(of: "limits", limit: 1 << 16, in: directory))
            namespaces = try ProcessFacts.namespaces(in: directory)
        } catch { throw error.explained("unable to read \(path)") }
    }

    private static func namespaces(in directory: Directory) throws(SystemError) -> [ByteString]? {
        var found: [ByteString] = []
        for kind in namespaceKinds {
            do throws(SystemError) {
                found.append(try readLink("ns/\(kind)", in: directory))
            } catch {
                if error.errno == .accessDenied || error.errno == .notPermitted { return nil }
                if error.errno != .noEntry { throw error }
                found.append(ByteString())
            }
        }
        return found
    }

    func described(_ pid: ByteString, comparedTo own: ProcessFacts) -> ByteString {
        var report = Report()
        report.text = "\(audit.word), \(audit.points) of 100 (\(audit.name.visible), pid \(pid))\n"
        report.add("points", list(audit.exposures))
        report.add("user", ids(audit.users, areUsers: true))
        report.add("group", ids(audit.groups))
        report.add("groups", names(of: audit.moreGroups))
        report.add("permitted", audit.capabilities.permitted.list)
        report.add("effective", audit.capabilities.effective.list)
        report.add("inheritable", audit.capabilities.inheritable.list)
        report.add("ambient", audit.capabilities.ambient.list)
        report.add("bounding", audit.capabilities.bounding.list)
        report.add("no_new_privs", audit.noNewPrivileges ? "yes" : "no")
        report.add("seccomp", seccomp)
        var differences: [ByteString] = []
        for resource in Resource.allCases {
            let index = Int(resource.rawValue)
            if index < min(limits.count, own.limits.count), limits[index] != own.limits[index] {
                differences.append("\(resource.name)=\(limits[index])")
            }
        }
        report.add("limits", list(differences, none: "the same"))
        differences = []
        if let theirs = namespaces, let ours = own.namespaces {
            for (index, kind) in ProcessFacts.namespaceKinds.enumerated()
            where theirs[index] != ours[index] { differences.append(kind) }
        } else {
            differences = ["unknown"]
        }
        report.add("namespaces", list(differences, none: "the same"))
        return report.text
    }

    private var seccomp: ByteString {
        switch audit.seccompMode {
        case 0: return "none"
        case 1: return "strict"
        default:
            guard let count = audit.filterCount else { return "filter" }
            return "filter, \(count)"
        }
    }
}

/// Lines of a label and what there is of it.
private struct Report {
    var text = ByteString()

    @inline(never)
    mutating func add(_ label: StaticString, _ value: ByteString) {
        text.append("    \(label)")
        text.pad(14 - label.utf8CodeUnitCount)
        text.append("\(value)\n")
    }
}

@inline(never)
private func list(_ words: [ByteString], none: StaticString = "none") -> ByteString {
    words.isEmpty ? ByteString(none) : ByteString(words, joinedBy: ", ")
}

/// One where all are the same; else real, effective, saved, file system.
private func ids(_ ids: [UInt32], areUsers: Bool = false) -> ByteString {
    var areSame = true
    for id in ids where id != ids[0] { areSame = false }
    return names(of: areSame ? Array(ids.prefix(1)) : ids, areUsers: areUsers)
}

/// The names of users or groups; the number where there is no name.
@inline(never)
private func names(of ids: [UInt32], areUsers: Bool = false) -> ByteString {
    var names: [ByteString] = []
    for id in ids {
        var name: ByteString?
        do throws(SystemError) {
            name = areUsers ? try Account.numbered(id)?.name : try Group.numbered(id)?.name
        } catch {}
        names.append(name ?? "\(id)")
    }
    return list(names)
}
