import Bytes
import Commands
import Linux

/// Limits on what a program and all that it starts use together, by a control group of version 2. cgroups(7).
struct GroupLimits: Sendable {
    /// What is limited. Each has a controller of its own, of the same name.
    enum Resource: CaseIterable, NamedCase, Sendable {
        case cpu, memory, processes

        var name: StaticString {
            switch self {
            case .cpu: "cpu"
            case .memory: "memory"
            case .processes: "pids"
            }
        }

        /// The file of a group that takes the limit.
        var file: StaticString {
            switch self {
            case .cpu: "cpu.max"
            case .memory: "memory.max"
            case .processes: "pids.max"
            }
        }
    }

    /// Names of the groups begin so, and end in a process id.
    private static let prefix: ByteString = "limits-"
    /// Microseconds of which a group may use a part, as is the kernel's default.
    private static let period = 100_000

    private(set) var limits: [(resource: Resource, value: Int)] = []

    var isEmpty: Bool { limits.isEmpty }

    /// `--cgroup`: limits separated by commas. A later one for the same resource counts.
    mutating func take(_ text: ByteString) throws(Failure) {
        for word in text.parts(separatedBy: UInt8(ascii: ",")) {
            guard let (name, value) = word.cut(at: UInt8(ascii: "=")) else {
                throw Failure("bad limit \(word)", exitCode: 100)
            }
            guard let resource = Resource(named: name) else {
                throw Failure("unknown resource \(name): cpu, memory or pids", exitCode: 100)
            }
            guard let number = GroupLimits.parse(value, for: resource) else {
                throw Failure("bad limit \(word)", exitCode: 100)
            }
            limits.removeAll { $0.resource == resource }
            limits.append((resource, number))
        }
    }

    /// A number of processes, bytes with a suffix K, M or G, or microseconds for a number of processors with up to two
    /// decimals.
    private static func parse(_ text: ByteString, for resource: Resource) -> Int? {
        switch resource {
        case .processes: return parseDecimal(text, within: 1...4_194_304)
        case .memory: return bytes(text)
        case .cpu:
            let (whole, part) = text.cut(at: UInt8(ascii: ".")) ?? (text, "0")
            guard let processors = parseDecimal(whole, within: 0...10_000),
                (1...2).contains(part.count), let decimals = parseDecimal(part, within: 0...99)
            else { return nil }
            let hundredths = processors * 100 + (part.count == 1 ? decimals * 10 : decimals)
            return hundredths == 0 ? nil : hundredths * (period / 100)
        }
    }

    private static func bytes(_ text: ByteString) -> Int? {
        var digits = text
        var shift = 0
        let suffixes: ByteString = "KMG"
        // In upper or lower case.
        if let last = text.bytes.last, let place = suffixes.bytes.firstIndex(of: last & 0xdf) {
            shift = (place + 1) * 10
            digits = ByteString(text.bytes.dropLast())
        }
        return parseDecimal(digits, within: 1...(Int.max >> shift)).map { $0 << shift }
    }

    /// Moves this process into a new group in the one it is in, with these limits. `waiting` processes of this binary
    /// are in it beside the program and do not count.
    func enter(waiting: Int) throws(Failure) {
        if isEmpty { return }
        let own: ControlGroup
        do throws(SystemError) { own = try ControlGroup.own() } catch {
            throw error.explained("unable to find a control group of version 2")
        }
        let group = try enterGroup(in: own)
        do throws(Failure) {
            for (resource, _) in limits { try enable(resource, in: own, for: group) }
            for (resource, value) in limits {
                try set(resource, resource == .processes ? value + waiting : value, of: group)
            }
        } catch {
            // What cannot be limited is not to be left in a group that looks so.
            do throws(SystemError) {
                try own.add(0)
                try group.remove()
            } catch {}
            throw error
        }
    }

    private func enterGroup(in own: ControlGroup) throws(Failure) -> ControlGroup {
        var attempts = 0
        while true {
            do throws(SystemError) {
                own.removeIdleGroups(GroupLimits.prefix)
                let group = try own.makeGroup("\(GroupLimits.prefix)\(CurrentProcess.id)")
                try group.add(0)
                return group
            } catch {
                attempts += 1
                // Another process that makes its own has taken it for one that was left behind.
                if [.noEntry, .noDevice].contains(error.errno) && attempts < 10 { continue }
                throw error.explained("unable to make a control group in \(own.path)")
            }
        }
    }

    /// Has the controller of `resource` work in groups of `own`, of which `group` is one.
    private func enable(_ resource: Resource, in own: ControlGroup, for group: ControlGroup)
        throws(Failure)
    {
        do throws(SystemError) {
            if try exists("\(group.path)/\(resource.file)") { return }
            try own.enable("\(resource.name)")
        } catch {
            throw error.explained(
                "unable to limit \(resource.name) in \(own.path)\(GroupLimits.cause(of: error))")
        }
    }

    private static func cause(of error: SystemError) -> StaticString {
        switch error.errno {
        case .busy: ", as there are other processes in it and not in groups below it"
        case .noEntry: ", which does not have that controller"
        default: ""
        }
    }

    private func set(_ resource: Resource, _ value: Int, of group: ControlGroup) throws(Failure) {
        let text: ByteString =
            resource == .cpu ? "\(value) \(GroupLimits.period)" : "\(value)"
        do throws(SystemError) { try group.set("\(resource.file)", text) } catch {
            throw error.explained("unable to limit \(resource.name) in \(group.path)")
        }
    }
}
