import CSeccomp
import Linux

/// A compiled policy: a BPF program that the kernel runs at every system call.
public struct SystemCallFilter: Equatable, Sendable {
    /// The program, at most 4096 instructions.
    public let instructions: [FilterInstruction]

    /// The kernel's limit on the length of a program.
    static let limit = 4096

    /// Puts it on this process and its descendants, on top of those that are there; the strictest
    /// answer counts. seccomp(2).
    public func install() throws(SystemError) {
        try CurrentProcess.install(filter: instructions)
    }

    /// Compiles a policy. Actions that depend on the number alone become a program of libseccomp's,
    /// which refuses other architectures too. In front of it goes what libseccomp has no words for:
    /// calls newer than any policy, and clauses in order, of which the first that holds decides.
    init(_ policy: Policy) throws(SystemError) {
        let body = try exported(policy)
        var assembler = FilterAssembler(before: body)
        let start = assembler.start
        var next = start
        for (number, clauses) in policy.conditional.reversed() {
            next = assembler.add(number, clauses, policy.defaultAction, otherwise: next)
        }
        if policy.defaultAction != .log {
            let newest = max(SystemCalls.highest, policy.clauses.keys.max() ?? 0)
            let unknown = assembler.end(.noSystemCall)
            next = assembler.branch(
                .greater, UInt32(newest), ifTrue: unknown, ifFalse: next)
        }
        // Numbers from here on are the x32 calls of x86-64, and -1 for a call that a tracer skips.
        next = assembler.branch(.greaterOrEqual, 0x4000_0000, ifTrue: start, ifFalse: next)
        next = assembler.load(FilterAssembler.Field.number, then: next)
        next = assembler.branch(
            .equal, seccomp_arch_native(), ifTrue: next, ifFalse: start)
        _ = assembler.load(FilterAssembler.Field.architecture, then: next)
        instructions = assembler.program
        if instructions.count > SystemCallFilter.limit { throw SystemError("seccomp", .invalid) }
    }
}

extension Policy {
    /// The calls whose arguments are looked at, lowest number first.
    fileprivate var conditional: [(Int32, [Clause])] {
        clauses.filter { $0.value.first?.isUnconditional == false }
            .sorted { $0.key < $1.key }.map { ($0.key, $0.value) }
    }
}

extension FilterAssembler {
    /// Tests for one call, whose number is loaded, and goes through its clauses.
    fileprivate mutating func add(
        _ number: Int32, _ clauses: [Clause], _ defaultAction: FilterAction,
        otherwise: Label
    ) -> Label {
        var next = end(defaultAction)
        for clause in clauses.reversed() {
            let action = end(clause.action)
            if clause.isUnconditional { next = action }
            for alternative in clause.condition.reversed() {
                let failed = next
                next = action
                for comparison in alternative.reversed() {
                    next = branch(comparison, ifTrue: next, ifFalse: failed)
                }
            }
        }
        return branch(.equal, UInt32(bitPattern: number), ifTrue: next, ifFalse: otherwise)
    }
}

/// libseccomp's program for what depends on the number alone.
private func exported(_ policy: Policy) throws(SystemError) -> [FilterInstruction] {
    guard let context = seccomp_init(policy.defaultAction.rawValue) else {
        throw SystemError("seccomp_init", .noMemory)
    }
    defer { seccomp_release(context) }
    try check("seccomp_attr_set") {
        seccomp_attr_set(context, SCMP_FLTATR_ACT_BADARCH, FilterAction.killProcess.rawValue)
    }
    // A tree over the numbers in place of a list.
    try check("seccomp_attr_set") { seccomp_attr_set(context, SCMP_FLTATR_CTL_OPTIMIZE, 2) }
    for (number, clauses) in policy.clauses.sorted(by: { $0.key < $1.key }) {
        guard let clause = clauses.first, clause.isUnconditional,
            clause.action != policy.defaultAction
        else { continue }
        try check("seccomp_rule_add") {
            seccomp_rule_add_array(context, clause.action.rawValue, number, 0, nil)
        }
    }
    return try withMemoryFile { (file) throws(SystemError) in
        try check("seccomp_export_bpf") { seccomp_export_bpf(context, file) }
    }
}

/// Makes a call of libseccomp, which returns a negative error number when it fails.
private func check(_ name: StaticString, _ body: () -> Int32) throws(SystemError) {
    let result = body()
    if result < 0 { throw SystemError(name, Errno(-result)) }
}

/// What `body` writes to a file that is only in memory, as instructions.
private func withMemoryFile(_ body: (Int32) throws(SystemError) -> Void) throws(SystemError)
    -> [FilterInstruction]
{
    let file = try makeMemoryFile("filter")
    try body(file.number)
    try seek(file, to: 0)
    let size = MemoryLayout<FilterInstruction>.stride
    let count = try status(of: file.number).size / size
    var instructions = [FilterInstruction](repeating: FilterInstruction(0, 0), count: count)
    try instructions.withUnsafeMutableBufferPointer { (buffer) throws(SystemError) in
        var rest = UnsafeMutableRawBufferPointer(buffer)[...]
        while !rest.isEmpty {
            let read = try file.read(into: UnsafeMutableRawBufferPointer(rebasing: rest))
            if read == 0 { throw SystemError("read", .protocolError) }
            rest = rest.dropFirst(read)
        }
    }
    return instructions
}
