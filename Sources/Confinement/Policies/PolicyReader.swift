import Bytes
import Commands
import Linux

/// Reads policies in minijail's format, minijail0(5), with systemd's groups as names of calls. What
/// is not understood is a mistake with file and line, and is never ignored.
struct PolicyReader {
    /// How deep files may include each other; this also ends a file that includes itself.
    private static let depthLimit = 10
    /// How many files a policy may have, so that a few lines cannot ask for millions.
    private static let fileLimit = 256
    /// How many clauses a call may have: a filter cannot have that many instructions.
    private static let clauseLimit = SystemCallFilter.limit

    private var policy = Policy()
    private var isDenyList = false
    private var hasDefault = false
    private var fileCount = 1
    /// The clauses of calls that lines name, and of calls that belong to a named group.
    private var named = ClauseTable()
    private var grouped = ClauseTable()

    /// The policy that `text` is; `file` is its name in messages and where `@include` starts.
    static func read(_ text: [UInt8], file: ByteString) throws(Failure) -> Policy {
        var reader = PolicyReader()
        try reader.read(text, file: file, depth: 1)
        return reader.finish()
    }

    /// A line that names a call takes precedence over lines that name its group.
    private mutating func finish() -> Policy {
        policy.clauses = grouped
        for (call, clauses) in named.entries { policy.clauses[call] = clauses }
        let names = named
        policy.closeTwins { names.contains($0) }
        return policy
    }

    private mutating func include(_ path: ByteString, depth: Int) throws(Failure) {
        let text: [UInt8]
        do throws(SystemError) {
            text = try contents(of: path, limit: PolicySource.sizeLimit)
        } catch { throw error.explained("unable to read \(path)") }
        try read(text, file: path, depth: depth)
    }

    private mutating func read(_ text: [UInt8], file: ByteString, depth: Int) throws(Failure) {
        for var line in try PolicyLine.lines(of: text, file: file) {
            switch line.peek {
            case "@include":
                _ = try line.take()
                guard depth < PolicyReader.depthLimit else {
                    throw line.place.mistake("@include goes too deep")
                }
                fileCount += 1
                guard fileCount <= PolicyReader.fileLimit else {
                    throw line.place.mistake("more than \(PolicyReader.fileLimit) files")
                }
                let path = try line.path(besides: file)
                try line.end()
                try include(path, depth: depth + 1)
            case "@frequency":
                // It only helps minijail to sort its tests by frequency.
                _ = try line.take()
                _ = try line.path(besides: file)
            // `@default` is also a group; a line about the group has a colon.
            case "@default" where !line.isStatement:
                _ = try line.take()
                try setDefault(&line)
            case "@denylist":
                _ = try line.take()
                try setDenyList(line)
            default: try statement(&line)
            }
            try line.end()
        }
    }

    private mutating func setDefault(_ line: inout PolicyLine) throws(Failure) {
        policy.defaultAction = try line.action()
        if policy.defaultAction == .allow {
            throw line.place.mistake("to allow what is not listed, begin with @denylist")
        }
        if isDenyList || hasDefault { throw line.place.mistake("a second @default or @denylist") }
        hasDefault = true
    }

    private mutating func setDenyList(_ line: PolicyLine) throws(Failure) {
        if hasDefault { throw line.place.mistake("a second @default or @denylist") }
        if !named.isEmpty || !grouped.isEmpty {
            throw line.place.mistake("@denylist must come before all calls")
        }
        isDenyList = true
        hasDefault = true
        policy.defaultAction = .allow
    }

    /// `name: …`, `@group: …` or `{name, name[arch=…], …}: …`.
    private mutating func statement(_ line: inout PolicyLine) throws(Failure) {
        var calls: [Int32] = []
        var groupCalls: [Int32] = []
        let isList = line.take("{")
        repeat {
            let name = try line.take()
            let isForUs = try line.isForThisArchitecture()
            if name.hasPrefix("@") {
                let members = try expand(name, line.place)
                if isForUs { groupCalls += members }
            } else if isForUs, let number = try number(of: name, line.place) {
                calls.append(number)
            }
        } while isList && line.take(",")
        if isList { try line.expect("}") }
        try line.expect(":")
        let clauses = try self.clauses(&line)
        for call in groupCalls { grouped[call] = clauses }
        for call in calls { try add(clauses, to: call, line.place) }
    }

    /// Several lines may name one call; the filter tests their clauses in order. After a line without a
    /// condition, further lines may only repeat what already holds.
    private mutating func add(_ clauses: [Clause], to call: Int32, _ place: PolicyPlace)
        throws(Failure)
    {
        let before = named[call]
        guard let last = before.last, last.isUnconditional else {
            guard before.count + clauses.count <= PolicyReader.clauseLimit else {
                throw place.mistake("too many conditions for one call")
            }
            named.append(clauses, to: call)
            return
        }
        for clause in clauses where clause.action != last.action && !before.contains(clause) {
            throw place.mistake("an earlier line decides this call already")
        }
    }

    private func clauses(_ line: inout PolicyLine) throws(Failure) -> [Clause] {
        if line.take("{") {
            var clauses: [Clause] = []
            repeat { clauses.append(try clause(&line)) } while line.take(",")
            try line.expect("}")
            if clauses.dropLast().contains(where: { $0.isUnconditional }) {
                throw line.place.mistake(
                    "what follows an action without condition is never reached")
            }
            return clauses
        }
        if !line.startsCondition { return [Clause(action: try line.action())] }
        let condition = try line.condition()
        // In a deny list the condition says when the action is taken. minijail0(5) does not describe deny
        // lists; this is what minijail's compiler does.
        if isDenyList {
            try line.expect(";")
            return [Clause(condition: condition, action: try line.action())]
        }
        let allowed = Clause(condition: condition, action: .allow)
        guard line.take(";") else { return [allowed] }
        // In an allow list, minijail0(5) takes the action when the condition does *not* hold.
        guard line.peek == "return" else {
            throw line.place.mistake("an action after a condition belongs in braces")
        }
        return [allowed, Clause(action: try line.action())]
    }

    /// In braces the action is taken when the condition holds; without an action the call is allowed.
    private func clause(_ line: inout PolicyLine) throws(Failure) -> Clause {
        if !line.startsCondition { return Clause(action: try line.action()) }
        let condition = try line.condition()
        return Clause(condition: condition, action: line.take(";") ? try line.action() : .allow)
    }
}

extension PolicyLine {
    /// A path; a relative one starts in the directory of the policy that contains it.
    fileprivate mutating func path(besides file: ByteString) throws(Failure) -> ByteString {
        let path = try take()
        if path.hasPrefix("/") { return path }
        guard let slash = file.bytes.lastIndex(of: UInt8(ascii: "/")) else { return path }
        return "\(ByteString(file.bytes[...slash]))\(path)"
    }

    /// Reads `[arch=NAME,…]` if it is there. Returns whether the name before it is for this architecture.
    fileprivate mutating func isForThisArchitecture() throws(Failure) -> Bool {
        guard take("[") else { return true }
        try expect("arch")
        try expect("=")
        let ours = Architecture.native.minijailName
        var isOurs = false
        repeat { if try take() == ours { isOurs = true } } while take(",")
        try expect("]")
        return isOurs
    }
}

/// The number of a call; nil when only other architectures have it.
func number(of name: ByteString, _ place: PolicyPlace) throws(Failure) -> Int32? {
    switch SystemCalls.meaning(of: name) {
    case .number(let number): return number
    case .elsewhere: return nil
    case .unknown: throw place.mistake("unknown system call \(name)")
    }
}

/// The numbers of those calls of a group that this architecture has.
func expand(_ group: ByteString, _ place: PolicyPlace) throws(Failure) -> [Int32] {
    if group.isSpelled(SystemCallGroups.known) { return SystemCalls.all }
    guard let members = SystemCallGroups.members(of: group) else {
        throw place.mistake("unknown group \(group)")
    }
    var numbers: [Int32] = []
    for member in members {
        if member.hasPrefix("@") {
            numbers += try expand(member, place)
        } else if case .number(let number) = SystemCalls.meaning(of: member) {
            numbers.append(number)
        }
    }
    return numbers
}
