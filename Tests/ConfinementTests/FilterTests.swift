import CSeccomp
import Commands
import Linux
import Testing

@testable import Confinement

@Suite("System call filters")
struct FilterTests {
    private let native = seccomp_arch_native()
    private let newest = SystemCalls.highest

    private func answer(
        _ filter: SystemCallFilter, _ number: Int32, _ arguments: [UInt64] = [0, 0, 0, 0, 0, 0]
    ) -> UInt32? {
        run(
            filter.instructions,
            SeccompData(number: number, architecture: native, arguments: arguments))
    }

    @Test("A list by number is what the kernel is told, for every number")
    func numbers() throws {
        for defaultAction in [FilterAction.allow, .killProcess, .fail(.notPermitted), .trap, .log] {
            var policy = Policy(defaultAction: defaultAction)
            for number in stride(from: Int32(0), through: 400, by: 3) {
                policy.clauses[number] = [Clause(action: number % 2 == 0 ? .allow : .fail(.exists))]
            }
            let filter = try SystemCallFilter(policy)
            for number in 0...newest {
                #expect(answer(filter, number) == decide(policy, number, []).rawValue)
            }
        }
    }

    @Test("Calls newer than any policy do not exist, whatever the default")
    func newer() throws {
        for defaultAction in [FilterAction.allow, .killProcess, .fail(.notPermitted)] {
            let filter = try SystemCallFilter(Policy(defaultAction: defaultAction))
            #expect(answer(filter, newest) == defaultAction.rawValue)
            for number in [newest + 1, 1000, 0x3fff_ffff] {
                #expect(answer(filter, number) == FilterAction.noSystemCall.rawValue)
            }
        }
    }

    @Test("Calls of other architectures end the process, though all be allowed")
    func otherArchitectures() throws {
        var policy = Policy(defaultAction: .allow)
        policy.clauses[1] = [
            Clause(
                condition: [[Comparison(argument: 0, relation: .equal, value: 1)]],
                action: .fail(.invalid))
        ]
        let filter = try SystemCallFilter(policy)
        for name in ["x86", "x86_64", "aarch64", "arm", "riscv64", "s390x"] {
            let architecture = seccomp_arch_resolve_name(name)
            if architecture == native { continue }
            for number: Int32 in [0, 1, 39, 5000] {
                let data = SeccompData(number: number, architecture: architecture)
                let expected = FilterAction.killProcess.rawValue
                #expect(run(filter.instructions, data) == expected)
            }
        }
        #if arch(x86_64)
            for number: Int32 in [0x4000_0000, 0x4000_0001, 0x4000_0200, 0x7fff_ffff] {
                #expect(answer(filter, number) == FilterAction.killProcess.rawValue)
            }
        #endif
    }

    @Test("A comparison means what it says, around every edge of 32 and 64 bits")
    func comparisons() throws {
        let edges: [UInt64] = [
            0, 1, 2, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff, 0x1_0000_0000, 0x1_0000_0001,
            0x1_ffff_ffff, 0x2_0000_0000, 0x7fff_ffff_ffff_ffff, 0x8000_0000_0000_0000,
            0xffff_fffe_ffff_ffff, 0xffff_ffff_0000_0000, 0xffff_ffff_ffff_ffff,
        ]
        for relation in Comparison.Relation.allCases {
            for value in edges {
                let comparison = Comparison(argument: 5, relation: relation, value: value)
                var policy = Policy(defaultAction: .killProcess)
                policy.clauses[2] = [Clause(condition: [[comparison]], action: .allow)]
                let filter = try SystemCallFilter(policy)
                for argument in edges {
                    let arguments = [7, 7, 7, 7, 7, argument]
                    let expected = decide(policy, 2, arguments).rawValue
                    #expect(answer(filter, 2, arguments) == expected, "\(comparison) \(argument)")
                }
            }
        }
    }

    private func randomPolicy(_ generator: inout Generator) -> Policy {
        let actions: [FilterAction] = [
            .allow, .killProcess, .killThread, .trap, .fail(.notPermitted), .fail(.noEntry),
        ]
        var policy = Policy(defaultAction: actions.randomElement(using: &generator) ?? .allow)
        for _ in 0..<Int.random(in: 0...40, using: &generator) {
            var clauses: [Clause] = []
            for _ in 0..<Int.random(in: 0...4, using: &generator) {
                let alternatives = (0..<Int.random(in: 1...3, using: &generator)).map { _ in
                    (0..<Int.random(in: 1...3, using: &generator)).map { _ in
                        Comparison(
                            argument: Int.random(in: 0...5, using: &generator),
                            relation: Comparison.Relation.allCases.randomElement(using: &generator)
                                ?? .equal,
                            value: [0, 1, 2, 3, 0x1_0000_0001].randomElement(using: &generator) ?? 0
                        )
                    }
                }
                clauses.append(
                    Clause(
                        condition: alternatives,
                        action: actions.randomElement(using: &generator) ?? .allow))
            }
            if clauses.isEmpty || Bool.random(using: &generator) {
                clauses.append(Clause(action: actions.randomElement(using: &generator) ?? .allow))
            }
            policy.clauses[Int32.random(in: 0...460, using: &generator)] = clauses
        }
        return policy
    }

    @Test("Clauses in order, alternatives and conjunctions: the filter decides as the policy does")
    func randomPolicies() throws {
        var generator = Generator(state: 20)
        let values: [UInt64] = [0, 1, 2, 3, 4, 0x1_0000_0001, 0x1_0000_0000]
        for _ in 0..<300 {
            let policy = randomPolicy(&generator)
            let filter = try SystemCallFilter(policy)
            for number in 0...newest {
                for _ in 0..<(policy.clauses[number].first?.isUnconditional == false ? 40 : 1) {
                    let arguments = (0..<6).map { _ in
                        values.randomElement(using: &generator) ?? 0
                    }
                    #expect(
                        answer(filter, number, arguments)
                            == decide(policy, number, arguments).rawValue)
                }
            }
        }
    }

    @Test("More than the kernel takes is refused")
    func tooLong() {
        var policy = Policy(defaultAction: .allow)
        for number in 0..<Int32(400) {
            let comparisons = (0..<6).map {
                Comparison(argument: $0, relation: .greater, value: UInt64($0))
            }
            policy.clauses[number] = [Clause(condition: [comparisons], action: .killProcess)]
        }
        #expect { try SystemCallFilter(policy) } throws: {
            ($0 as? Failure)?.exitCode == 100
        }
    }

    @Test(
        "What cannot be compiled or installed is an error",
        arguments: ["memfd_create", "lseek", "fstat", "read"])
    func failures(_ call: String) {
        let seam = Seam()
        seam.fail(call, with: .noMemory)
        #expect { try seam.during { try SystemCallFilter(Policy()) } } throws: {
            ($0 as? Failure)?.errno == .noMemory
        }
    }
}
