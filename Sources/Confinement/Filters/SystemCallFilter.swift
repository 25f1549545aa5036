import Bytes
import CSeccomp
import Commands
import Linux

/// A compiled policy: a BPF program that the kernel runs at every system call.
public struct SystemCallFilter: Equatable, Sendable {
    /// The program, at most 4096 instructions.
    public let instructions: [FilterInstruction]

    /// The flags to install it with.
    public let flags: FilterFlags

    /// The kernel's limit on the length of a program.
    static let limit = 4096

    /// Puts it on this process and its descendants, on top of those that are there; the strictest
    /// answer counts. seccomp(2).
    public func install() throws(SystemError) {
        try CurrentProcess.install(filter: instructions, flags: flags)
    }

    /// Completes what an assembler has put together by a test of the architecture: each of `entries` has
    /// its own part, and all others go to `otherwise`. A program too long for the kernel fails with exit
    /// code 100.
    init(
        _ assembler: FilterAssembler,
        _ entries: [(architecture: UInt32, label: FilterAssembler.Label)],
        otherwise: FilterAssembler.Label, flags: FilterFlags = []
    ) throws(Failure) {
        var assembler = assembler
        let parts = entries.map { entry in
            (entry.architecture, assembler.load(FilterAssembler.Field.number, then: entry.label))
        }
        var next = otherwise
        for (architecture, label) in parts {
            next = assembler.branch(.equal, architecture, ifTrue: label, ifFalse: next)
        }
        _ = assembler.load(FilterAssembler.Field.architecture, then: next)
        instructions = assembler.program
        self.flags = flags
        if instructions.count > SystemCallFilter.limit {
            throw Failure("the policy is too long for the kernel", exitCode: 100)
        }
    }

    /// Compiles a policy. libseccomp compiles the calls whose number alone decides, and refuses other
    /// architectures. In front of its program go tests that libseccomp does not offer: for calls newer
    /// than any policy, and for clauses in order, the first of which that holds decides.
    init(_ policy: Policy) throws(Failure) {
        let body = try libseccompProgram(policy.defaultAction) { (context) throws(Failure) in
            for (number, clauses) in policy.clauses.entries {
                guard let clause = clauses.first, clause.isUnconditional,
                    clause.action != policy.defaultAction
                else { continue }
                try check(
                    seccomp_rule_add_array(context, clause.action.rawValue, number, 0, nil))
            }
        }
        var assembler = FilterAssembler(before: body)
        let start = assembler.start
        var next = start
        for (number, clauses) in policy.clauses.entries.reversed()
        where clauses.first?.isUnconditional == false {
            next = assembler.add(number, clauses, policy.defaultAction, otherwise: next)
        }
        if policy.defaultAction != .log {
            let newest = max(SystemCalls.highest, policy.clauses.entries.last?.call ?? 0)
            let unknown = assembler.end(.noSystemCall)
            next = assembler.branch(
                .greater, UInt32(newest), ifTrue: unknown, ifFalse: next)
        }
        // Numbers from here on are the x32 calls of x86-64, and -1 for a call that a tracer skips.
        next = assembler.branch(
            .greaterOrEqual, Architecture.x32Bit, ifTrue: start, ifFalse: next)
        try self.init(
            assembler, [(Architecture.native.auditNumber, next)], otherwise: start)
    }
}

extension FilterAssembler {
    /// Tests for one call, the number being loaded already, and then its clauses in order.
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

/// The program that libseccomp makes of the rules that `addRules` gives it. Calls of architectures
/// other than these end the process.
func libseccompProgram(
    _ defaultAction: FilterAction, _ architectures: [Architecture] = [],
    _ addRules: (scmp_filter_ctx) throws(Failure) -> Void
) throws(Failure) -> [FilterInstruction] {
    // Without this, libseccomp asks the kernel what it supports, and compiles nothing where a filter
    // forbids seccomp(2).
    try check(seccomp_api_set(3))
    guard let context = seccomp_init(defaultAction.rawValue) else {
        throw Failure("unable to compile", .noMemory)
    }
    defer { seccomp_release(context) }
    let killProcess = FilterAction.killProcess.rawValue
    try check(seccomp_attr_set(context, SCMP_FLTATR_ACT_BADARCH, killProcess))
    // Optimization level 2: a binary tree over the numbers instead of a list.
    try check(seccomp_attr_set(context, SCMP_FLTATR_CTL_OPTIMIZE, 2))
    for architecture in architectures where architecture != .native {
        try check(seccomp_arch_add(context, architecture.token))
    }
    try addRules(context)
    do throws(SystemError) {
        return try withMemoryFile { (file) throws(SystemError) in
            let result = seccomp_export_bpf(context, file)
            if result < 0 { throw SystemError("seccomp_export_bpf", Errno(-result)) }
        }
    } catch { throw error.explained("unable to compile") }
}

/// Takes the result of a call of libseccomp, a negative error number when it failed.
private func check(_ result: Int32) throws(Failure) {
    if result < 0 { throw Failure("unable to compile", Errno(-result)) }
}

/// The instructions that `body` writes to a file in memory.
private func withMemoryFile(_ body: (Int32) throws(SystemError) -> Void) throws(SystemError)
    -> [FilterInstruction]
{
    let file = try makeMemoryFile("filter")
    try body(file.number)
    try seek(file, to: 0)
    let size = MemoryLayout<FilterInstruction>.stride
    let count = try status(of: file.number).size / size
    var instructions = [FilterInstruction](repeating: FilterInstruction(code: 0, 0), count: count)
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
