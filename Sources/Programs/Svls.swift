import Bytes
import Commands
import Confinement
import Formats
import Linux
import ServiceFiles

/// svls(8): lists the services of a scan directory, or says how they are confined.
func svls(_ call: Call) throws(Failure) -> Outcome {
    let usage = Failure(usage: "svls [ -c ] [ directory ]")
    var showsConfinement = false
    let names = [
        OptionName("c", SvlsOption.confinement), OptionName(word: "confinement", .confinement),
    ]
    var reader = OptionReader(call.arguments, names, call.messages)
    while let result = reader.next() {
        guard case .option(.confinement, _) = result else { throw usage }
        showsConfinement = true
    }
    if call.arguments.count > reader.operands + 1 { throw usage }
    let services = try ServiceTable(of: call.operand(reader.operands, else: "/service"))
    var code: Int32 = 0
    let text = showsConfinement ? try confinement(of: services, &code) : services.text
    try writeOutput(Array(text.bytes))
    return .exit(code)
}

private enum SvlsOption {
    /// Show how services are confined.
    case confinement
}

/// A row of four words for each service, after one of headings: its name, state, process and for how
/// many seconds; `-` for what there is not.
private struct ServiceTable {
    static let columns = 4

    private(set) var words = ByteString("service state pid seconds").parts(
        separatedBy: UInt8(ascii: " "))

    /// The services in a scan directory, each followed by its logger, by name.
    init(of path: ByteString) throws(Failure) {
        do throws(SystemError) {
            let place = try openFile(path, .place)
            var names = try entries(of: ".", in: Directory(place))
            names.sortByBytes()
            for name in names where !name.hasPrefix(".") {
                if add(name, in: Directory(place)) { _ = add("\(name)/log", in: Directory(place)) }
            }
        } catch { throw error.explained("unable to read directory \(path)") }
    }

    /// Adds the service in a directory; false when there is none. What cannot be told is shown as a
    /// service with its error.
    private mutating func add(_ name: ByteString, in place: Directory) -> Bool {
        var state: ByteString = "unsupervised"
        var pid: ByteString = "-"
        var seconds = pid
        do throws(SystemError) {
            if !(try status(of: name, in: place).isDirectory) { return false }
        } catch { if error.errno == .noEntry { return false } }
        do throws(SystemError) {
            let directory = try openFile(name, .place, in: place)
            let supervise = try SuperviseDirectory(of: Directory(directory))
            if try supervise.isSupervised() {
                let file = try supervise.openStatus()
                if let status = try StatusRecord(readFrom: file) {
                    state = status.pid == 0 ? "down" : status.isPaused ? "paused" : "up"
                    if status.pid != 0 { pid = "\(status.pid)" }
                    seconds = "\(age(of: status))"
                } else {
                    state = "bad status"
                }
            }
        } catch { if error.errno != .noEntry { state = ByteString(error.errno.text) } }
        words += [name.visible, state, pid, seconds]
        return true
    }

    /// In columns: words to the left, numbers to the right.
    var text: ByteString {
        var widths = [0, 0, 0, 0]
        for index in words.indices {
            let column = index % ServiceTable.columns
            widths[column] = max(widths[column], words[index].count)
        }
        var text = ByteString()
        for index in words.indices {
            let column = index % ServiceTable.columns
            if column >= 2 { text.pad(widths[column] - words[index].count) }
            text.append(words[index])
            if column < 2 { text.pad(widths[column] - words[index].count) }
            text.append(column == 3 ? "\n" : "  ")
        }
        return text
    }
}

extension ByteString {
    @inline(never)
    fileprivate mutating func pad(_ count: Int) {
        for _ in 0..<count { append(" ") }
    }
}

private func confinement(of services: ServiceTable, _ code: inout Int32) throws(Failure)
    -> ByteString
{
    let own = try ProcessFacts("self")
    var text = ByteString()
    var row = ServiceTable.columns
    while row < services.words.count {
        let (name, state, pid) = (
            services.words[row], services.words[row + 1], services.words[row + 2]
        )
        row += ServiceTable.columns
        if pid == "-" {
            text.append("\(name): \(state)\n")
            continue
        }
        do throws(Failure) {
            let facts = try ProcessFacts(pid)
            text.append("\(name): \(facts.described(pid, comparedTo: own))")
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
