import Bytes
import Commands
import Linux
import Testing

@testable import Confinement

@Suite("Capability lists")
struct CapabilityListTests {
    private let all = CapabilitySet(rawValue: 0xffff)
    private let current = CapabilitySet(rawValue: 0b1111)

    private func set(_ text: ByteString) throws -> CapabilitySet {
        try CapabilityList(text).applied(to: current, all: all)
    }

    private func bits(_ numbers: Int32...) -> CapabilitySet {
        numbers.reduce(into: []) { $0.insert(CapabilitySet(Capability($1))) }
    }

    @Test("Names are those of capabilities(7), with or without prefix, in either case")
    func names() throws {
        #expect(try set("cap_chown") == bits(0))
        #expect(try set("chown,CAP_KILL,Cap_SetUid") == bits(0, 5, 7))
        #expect(try set("checkpoint_restore") == bits(40))
    }

    @Test(
        "What is no name is a mistake, exit code 100",
        arguments: [
            "chwon", "cap_", "5", "cap_5", "chown,", ",chown", "chown,,kill", "+", "-", "+none-",
            "-none", "~chown", "!chown", "chown kill", "cap_cap_chown", "chown\n", "alle", " all",
        ] as [ByteString])
    func unknown(_ text: ByteString) {
        #expect { try CapabilityList(text) } throws: { ($0 as? Failure)?.exitCode == 100 }
    }

    @Test(
        "A list that begins with a name starts from nothing, one that begins with a sign does not")
    func start() throws {
        #expect(try set("") == [])
        #expect(try set("none") == [])
        #expect(try set("all") == all)
        #expect(try set("all,-chown,-kill") == all.subtracting(bits(0, 5)))
        #expect(try set("-chown") == bits(1, 2, 3))
        #expect(try set("+kill") == bits(0, 1, 2, 3, 5))
        #expect(try set("-all,+net_bind_service") == bits(10))
        #expect(try set("kill,none,chown") == bits(0))
        #expect(try set("chown,-chown") == [])
    }

    @Test("A set's names can be read back")
    func roundTrip() throws {
        for bit in 0...40 {
            let set = bits(Int32(bit))
            #expect(try CapabilityList(set.names).applied(to: [], all: []) == set)
        }
        #expect(CapabilitySet().names == "none")
    }
}

@Suite("Capability plans")
struct CapabilityPlanTests {
    /// What exec makes of the sets, capabilities(7); the file has no capabilities.
    private func held(after plan: CapabilityPlan, asRoot: Bool) -> CapabilitySet {
        let state = plan.target
        if asRoot && !state.rootIsOrdinary { return state.inheritable.union(state.bounding) }
        return state.ambient
    }

    private static let names: [ByteString] = [
        "chown", "dac_override", "dac_read_search", "fowner",
    ]

    private func list(_ bits: UInt64) throws -> CapabilityList {
        let names = CapabilitySet(rawValue: bits).names
        return try CapabilityList(names)
    }

    /// Every process state over `width` capabilities that the kernel can have.
    private func states(width: UInt64) -> [CapabilityState] {
        var states: [CapabilityState] = []
        let sets = (0..<(1 << width)).map { CapabilitySet(rawValue: $0) }
        for bounding in sets {
            for permitted in sets {
                for inheritable in sets {
                    for ambient in sets
                    where ambient.isSubset(of: permitted.intersection(inheritable)) {
                        var state = CapabilityState()
                        state.bounding = bounding
                        state.permitted = permitted
                        state.effective = permitted
                        state.inheritable = inheritable
                        state.ambient = ambient
                        states.append(state)
                    }
                }
            }
        }
        return states
    }

    /// Whether the program runs as root, after which change.
    private let changes: [(Bool, UserChange)] = [
        (true, .none), (true, .other), (false, .none), (false, .other), (false, .fromRoot),
    ]

    @Test("What is asked for is what the program has, or there is a failure")
    func everyState() throws {
        let known = CapabilitySet(rawValue: 3)
        let choices: [UInt64?] = [nil, 0, 1, 2, 3]
        for state in states(width: 2) {
            for (asRoot, change) in changes {
                for bounding in choices {
                    for caps in choices {
                        for ambient in choices {
                            var lists = CapabilityLists()
                            lists.bounding = try bounding.map(list)
                            lists.permitted = try caps.map(list)
                            lists.ambient = try ambient.map(list)
                            guard
                                let plan = try? CapabilityPlan(
                                    lists, from: state, runsAsRoot: asRoot,
                                    change: change, known: known)
                            else { continue }
                            check(plan, lists, state, asRoot, (bounding, caps, ambient))
                            if change != .none {
                                // Another user has nothing but what was asked for.
                                let asked = CapabilitySet(
                                    rawValue: asRoot ? ambient ?? 0 : ambient ?? caps ?? 0)
                                #expect(plan.target.ambient == asked)
                                #expect(asRoot || plan.target.permitted == asked)
                                #expect(plan.changesAmbient)
                            }
                            if caps != nil {
                                #expect(plan.target.inheritable == plan.target.ambient)
                            }
                        }
                    }
                }
            }
        }
    }

    private func check(
        _ plan: CapabilityPlan, _ lists: CapabilityLists, _ state: CapabilityState, _ asRoot: Bool,
        _ asked: (bounding: UInt64?, caps: UInt64?, ambient: UInt64?)
    ) {
        let target = plan.target
        let held = held(after: plan, asRoot: asRoot)
        if let bounding = asked.bounding {
            let limit = CapabilitySet(rawValue: bounding)
            #expect(
                target.bounding
                    == limit.intersection(state.bounding).intersection(
                        asRoot ? CapabilitySet(rawValue: asked.caps ?? ~0) : limit))
            #expect(held.isSubset(of: limit))
            // Nor by a file's inheritable capabilities later on.
            #expect(target.inheritable.isSubset(of: limit))
        }
        if let caps = asked.caps { #expect(held == CapabilitySet(rawValue: caps)) }
        if let ambient = asked.ambient {
            #expect(target.ambient == CapabilitySet(rawValue: ambient))
            if !asRoot { #expect(held == CapabilitySet(rawValue: ambient)) }
        }
        // What the kernel demands of what it is asked to set.
        #expect(target.bounding.isSubset(of: state.bounding))
        #expect(plan.droppedFromBounding == state.bounding.subtracting(target.bounding))
        #expect(target.permitted.isSubset(of: state.permitted))
        #expect(target.effective.isSubset(of: target.permitted))
        #expect(target.ambient.isSubset(of: target.permitted))
        #expect(target.ambient.isSubset(of: target.inheritable))
        #expect(target.inheritable.isSubset(of: state.inheritable.union(state.permitted)))
        #expect(target.inheritable.isSubset(of: state.inheritable.union(target.bounding)))
    }

    /// A process of root that has everything of a kernel with sixteen capabilities.
    private var root: CapabilityState {
        var state = CapabilityState()
        state.bounding = CapabilitySet(rawValue: 0xffff)
        state.permitted = state.bounding
        state.effective = state.bounding
        return state
    }

    private func plan(
        _ state: CapabilityState, asRoot: Bool = true, change: UserChange = .none,
        _ edit: (inout CapabilityLists) throws -> Void
    ) throws -> CapabilityPlan {
        var lists = CapabilityLists()
        try edit(&lists)
        return try CapabilityPlan(
            lists, from: state, runsAsRoot: asRoot, change: change,
            known: CapabilitySet(rawValue: 0xffff))
    }

    @Test("A user who is not root keeps one capability by one option")
    func oneOption() throws {
        let service = CapabilitySet(Capability(10))
        for option in [\CapabilityLists.ambient, \CapabilityLists.permitted] {
            let plan = try plan(root, asRoot: false, change: .fromRoot) {
                $0[keyPath: option] = try CapabilityList("net_bind_service")
            }
            #expect(plan.keepsPermitted)
            #expect(plan.target.permitted == service)
            #expect(plan.target.inheritable == service)
            #expect(plan.target.ambient == service)
            #expect(plan.droppedFromBounding == [])
        }
    }

    @Test("Leaving root without a list for it leaves nothing to keep")
    func leavingRoot() throws {
        let plan = try plan(root, asRoot: false, change: .fromRoot) {
            $0.bounding = try CapabilityList("chown")
        }
        #expect(!plan.keepsPermitted)
        #expect(plan.target.permitted == [])
        #expect(plan.target.effective == [])
    }

    @Test("Nor does a user that is not root hand its own to another user")
    func amongUsers() throws {
        let service = CapabilitySet(Capability(10))
        var state = root
        (state.inheritable, state.ambient) = (state.bounding, state.bounding)
        let dropped = try plan(state, asRoot: false, change: .other) { _ in }
        #expect(dropped.target.permitted == [] && dropped.target.ambient == [])
        #expect(dropped.target.effective == [] && dropped.changesAmbient)
        let kept = try plan(state, asRoot: false, change: .other) {
            $0.ambient = try CapabilityList("net_bind_service")
        }
        #expect(kept.target.permitted == service && kept.target.ambient == service)
        #expect(!kept.keepsPermitted)
    }

    @Test("--caps replaces what was inheritable, for root and for others")
    func replacedInheritable() throws {
        var state = root
        state.inheritable = state.bounding
        for asRoot in [true, false] {
            let none = try plan(state, asRoot: asRoot, change: asRoot ? .none : .fromRoot) {
                $0.permitted = try CapabilityList("none")
            }
            #expect(none.target.inheritable == [])
        }
        let given = try plan(state, asRoot: false, change: .fromRoot) {
            $0.permitted = try CapabilityList("chown")
            $0.inheritable = try CapabilityList("chown,kill")
        }
        #expect(given.target.inheritable.rawValue == 0b10_0001)
    }

    @Test("What becomes inheritable is permitted until it is")
    func inheritableOfAnotherUser() throws {
        let plan = try plan(root, asRoot: false, change: .fromRoot) {
            $0.inheritable = try CapabilityList("net_bind_service")
        }
        #expect(plan.keepsPermitted)
        #expect(plan.target.permitted == [])
        #expect(plan.target.inheritable == CapabilitySet(Capability(10)))
    }

    @Test("A root that is ordinary needs the ambient set like everybody")
    func ordinaryRoot() throws {
        var state = root
        state.rootIsOrdinary = true
        let plan = try plan(state) { $0.permitted = try CapabilityList("chown") }
        #expect(plan.target.ambient == CapabilitySet(Capability(0)))
        #expect(plan.droppedFromBounding == [])
    }

    @Test(
        "With noroot asked for root needs it too, and CAP_SETPCAP is kept for the bits and no longer"
    )
    func becomingOrdinary() throws {
        let plan = try CapabilityPlan(
            lists(caps: "net_bind_service"), from: root, runsAsRoot: false, change: .fromRoot,
            known: CapabilitySet(rawValue: 0xffff), securebits: .noRootForGood)
        #expect(plan.target.permitted == CapabilitySet(Capability(10)))
        #expect(plan.scaffold == CapabilitySet(.changeSets))
        #expect(plan.keepsPermitted)
        let stays = try CapabilityPlan(
            lists(caps: "chown"), from: root, runsAsRoot: true, change: .none,
            known: CapabilitySet(rawValue: 0xffff), securebits: .noRoot)
        #expect(stays.target.ambient == CapabilitySet(Capability(0)))
        #expect(stays.droppedFromBounding == [])
    }

    @Test("A process that goes on without an exec holds no more than after one")
    func goingOn() throws {
        let known = CapabilitySet(rawValue: 3)
        for state in states(width: 2) {
            for (asRoot, change) in changes {
                for caps: ByteString? in [nil, "none", "chown", "chown,dac_override"] {
                    for bounding: ByteString? in [nil, "none", "chown"] {
                        guard
                            let plan = try? CapabilityPlan(
                                lists(caps: caps, bounding: bounding), from: state,
                                runsAsRoot: asRoot, change: change, known: known,
                                withoutExec: true)
                        else { continue }
                        #expect(
                            plan.target.permitted.isSubset(of: held(after: plan, asRoot: asRoot)))
                        #expect(plan.target.permitted.isSubset(of: state.permitted))
                        #expect(plan.target.effective == plan.target.permitted)
                    }
                }
            }
        }
    }

    private func lists(caps: ByteString?, bounding: ByteString? = nil) throws -> CapabilityLists {
        var lists = CapabilityLists()
        lists.permitted = try caps.map { try CapabilityList($0) }
        lists.bounding = try bounding.map { try CapabilityList($0) }
        return lists
    }

    @Test("What other options take away is a contradiction, exit code 100")
    func contradictions() throws {
        let contradictions: [(inout CapabilityLists) throws -> Void] = [
            {
                $0.bounding = try CapabilityList("kill")
                $0.permitted = try CapabilityList("chown")
            },
            {
                $0.bounding = try CapabilityList("kill")
                $0.ambient = try CapabilityList("chown")
            },
            {
                $0.bounding = try CapabilityList("kill")
                $0.inheritable = try CapabilityList("chown")
            },
            {
                $0.inheritable = try CapabilityList("kill")
                $0.ambient = try CapabilityList("chown")
            },
            {
                $0.permitted = try CapabilityList("kill")
                $0.ambient = try CapabilityList("chown")
            },
        ]
        for contradiction in contradictions {
            for asRoot in [true, false] {
                #expect {
                    try plan(
                        root, asRoot: asRoot, change: asRoot ? .none : .fromRoot, contradiction)
                } throws: {
                    ($0 as? Failure)?.exitCode == 100
                }
            }
        }
    }

    @Test("What the process lacks is no contradiction but a failure, exit code 111")
    func lacking() {
        var state = root
        state.permitted = CapabilitySet(rawValue: 0b10_0000)
        for option in [
            \CapabilityLists.permitted, \CapabilityLists.ambient, \CapabilityLists.inheritable,
        ] {
            #expect {
                try plan(state) { $0[keyPath: option] = try CapabilityList("chown,kill") }
            } throws: {
                guard let failure = $0 as? Failure else { return false }
                return failure.exitCode == 111
                    && failure.text == "not held by this process: cap_chown"
            }
        }
    }

    @Test("A limit may name what the process does not have")
    func widerLimit() throws {
        var state = root
        state.bounding = CapabilitySet(rawValue: 0b11)
        let plan = try plan(state) { $0.bounding = try CapabilityList("chown,kill,setuid") }
        #expect(plan.target.bounding == CapabilitySet(rawValue: 0b1))
    }
}
