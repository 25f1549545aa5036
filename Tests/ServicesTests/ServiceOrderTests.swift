import Bytes
import Formats
import Testing

@testable import Services

extension Script {
    /// Services with these definitions in the scan directory, by number.
    fileprivate static func services(
        _ definitions: [(ByteString, ServiceDefinition)], command: ByteString? = nil
    ) -> (script: Script, actions: [Action]) {
        var script = Script(command: command)
        script.take(.began)
        let offset = command == nil ? 0 : 1
        if offset == 1 { script.take(.started(ServiceID(0), pid: 99)) }
        script.list(definitions.enumerated().map { ($1.0, UInt64($0 + 1)) })
        for index in definitions.indices { script.take(.examined(PairID(index), log: nil)) }
        var actions: [Action] = []
        for (index, definition) in definitions.enumerated() {
            let id = ServiceID(index + offset)
            actions += script.take(.opened(id, isDown: false, definition.1))
        }
        return (script, actions)
    }

    /// Lets a service have a process: 100 and its number.
    @discardableResult
    fileprivate mutating func start(_ index: Int, at time: UInt64? = nil) -> [Action] {
        take(.started(ServiceID(index), pid: 100 + Int32(index)), at: time)
    }

    @discardableResult
    fileprivate mutating func end(_ index: Int, _ status: Int32 = 0, at time: UInt64? = nil)
        -> [Action]
    {
        take(.died(pid: 100 + Int32(index), Death(status: status)), at: time)
    }
}

extension [Action] {
    /// The services that are started.
    fileprivate var starts: [Int] {
        compactMap { if case .start(let id, _, _, _) = $0 { id.index } else { nil } }
    }

    /// The processes that are told to end.
    fileprivate var ends: [Int32] {
        compactMap { if case .signal(let pid, .terminate, _) = $0 { pid } else { nil } }
    }

    /// What a status file last said.
    fileprivate func status(_ index: Int) -> StatusDetails? {
        compactMap {
            if case .writeStatus(ServiceID(index), let record) = $0 { record.details } else { nil }
        }.last
    }

    fileprivate var exitCode: Int32? {
        compactMap { if case .end(_, let code) = $0 { code } else { nil } }.last
    }
}

private func asks(_ change: (inout ServiceDefinition) -> Void) -> ServiceDefinition {
    var definition = ServiceDefinition()
    change(&definition)
    return definition
}

private func bundle(_ contents: ByteString...) -> ServiceDefinition {
    asks {
        $0.kind = .bundle
        $0.contents = contents
    }
}

@Suite("What comes before what") struct ServiceOrderTests {
    @Test("Nothing starts before what it needs is ready")
    func needs() {
        var (script, actions) = Script.services([
            ("a", asks { $0.readiness = .notify }), ("b", asks { $0.needs = ["a"] }),
        ])
        #expect(actions.starts == [0])
        #expect(actions.status(1)?.state == .blocked)
        #expect(script.start(0).starts == [])
        #expect(script.take(.ready(ServiceID(0))).starts == [1])
    }

    @Test("What is wanted is waited for until it has failed")
    func wants() {
        var (script, actions) = Script.services([
            (
                "a",
                asks {
                    $0.readiness = .notify
                    $0.restart = .never
                }
            ), ("b", asks { $0.wants = ["a"] }),
        ])
        #expect(actions.starts == [0])
        #expect(script.start(0).starts == [])
        #expect(script.end(0, 256).starts == [1])
    }

    @Test("What needs itself by way of another, or what is not there, never starts")
    func circle() {
        let (_, actions) = Script.services([
            ("a", asks { $0.needs = ["b"] }), ("b", asks { $0.needs = ["a"] }),
            ("c", asks { $0.needs = ["nobody"] }), ("d", asks { $0.after = ["nobody"] }),
        ])
        #expect(actions.starts == [3])
        for index in 0..<3 { #expect(actions.status(index)?.reason == .dependency) }
    }

    @Test("What somebody put down stays down, and comes with a command to what needs it")
    func down() {
        var (script, _) = Script.services([("a", asks { _ in }), ("b", asks { $0.needs = ["a"] })])
        script.start(0)
        script.start(1)
        script.take(.commanded(ServiceID(0), .down))
        script.end(0, 15, at: 2000)
        #expect(script.end(1, 256, at: 3000).starts == [])
        #expect(script.take(.timePassed, at: 9000).starts == [])
        script.list([("a", 1), ("b", 2)])
        #expect(script.take(.timePassed, at: 20_000).starts == [])
        #expect(script.take(.commanded(ServiceID(1), .up)).starts.contains(0))
    }

    // MARK: - The stop

    @Test("The stop is the reverse of the start")
    func stop() {
        var (script, _) = Script.services([
            ("a", asks { _ in }), ("b", asks { $0.needs = ["a"] }),
            ("c", asks { $0.after = ["b"] }),
        ])
        for index in 0..<3 { script.start(index) }
        let actions = script.take(.stopAsked(.exit, signal: .terminate))
        #expect(actions.ends == [102])
        #expect(script.end(2, 15).ends == [101])
        #expect(script.end(1, 15).ends == [100])
        #expect(script.end(0, 15).exitCode == 0)
    }

    @Test("Those that wait for one another end together, before what both need")
    func stopCircle() {
        var (script, _) = Script.services([
            ("a", asks { _ in }), ("b", asks { $0.needs = ["a"] }),
            ("c", asks { $0.needs = ["a"] }),
        ])
        for index in 0..<3 { script.start(index) }
        script.take(
            .defined(
                ServiceID(1),
                asks {
                    $0.needs = ["a"]
                    $0.after = ["c"]
                }))
        script.take(
            .defined(
                ServiceID(2),
                asks {
                    $0.needs = ["a"]
                    $0.after = ["b"]
                }))
        #expect(script.take(.stopAsked(.exit, signal: .terminate)).ends.sorted() == [101, 102])
        #expect(script.end(1, 15).ends == [])
        #expect(script.end(2, 15).ends == [100])
    }

    @Test("What a replaced service still uses does not end before it")
    func replaced() {
        var (script, _) = Script.services([("a", asks { _ in }), ("b", asks { $0.needs = ["a"] })])
        script.start(0)
        script.start(1)
        #expect(script.list([("a", 1), ("b", 3)]).ends == [101])
        #expect(!script.take(.stopAsked(.exit, signal: .terminate)).ends.contains(100))
        #expect(script.end(1, 15).ends == [100])
    }

    // MARK: - Bundles

    @Test("A bundle is done while all that is in it is ready")
    func bundles() {
        var (script, _) = Script.services([
            ("a", asks { _ in }), ("b", asks { $0.readiness = .notify }), ("c", bundle("a", "b")),
            ("d", asks { $0.needs = ["c"] }),
        ])
        script.start(0)
        script.start(1)
        let actions = script.take(.ready(ServiceID(1)))
        #expect(actions.status(2)?.state == .done && actions.status(2)?.readySince != nil)
        #expect(actions.starts == [3])
        let after = script.end(0, 256)
        #expect(after.status(2)?.state == .down && after.status(2)?.readySince == nil)
        #expect(script.take(.defined(ServiceID(2), asks { _ in })).status(2)?.isReady != true)
    }

    @Test("A bundle that becomes a service says so in its status file")
    func redefined() {
        var (script, _) = Script.services([("a", asks { _ in }), ("b", bundle("a"))])
        #expect(script.start(0).status(1)?.isReady == true)
        #expect(
            script.take(.defined(ServiceID(1), asks { _ in })).status(1)?.isReady == false)
    }

    @Test("A command to a bundle is one to all in it, also if bundles contain one another")
    func commands() {
        var (script, _) = Script.services([
            ("a", asks { _ in }), ("b", asks { _ in }), ("c", bundle("a", "d")),
            ("d", bundle("b", "c")),
        ])
        script.take(.defined(ServiceID(2), nil))
        script.start(0)
        script.start(1)
        script.take(.defined(ServiceID(2), bundle("a", "d")))
        let actions = script.take(.commanded(ServiceID(3), .down))
        #expect(actions.ends.sorted() == [100, 101])
    }

    @Test("A command to a bundle does not wait for what is still being looked at")
    func unsettled() {
        var (script, _) = Script.services([("a", asks { _ in }), ("b", bundle("a"))])
        script.start(0)
        script.list([("a", 1), ("b", 2), ("c", 3)])
        #expect(script.take(.commanded(ServiceID(1), .down)).ends == [100])
    }

    @Test("Nothing starts while something new is being looked at, wherever in the table it is")
    func newcomer() {
        var (script, _) = Script.services([
            ("x", asks { _ in }), ("a", asks { $0.readiness = .notify }),
            ("b", asks { $0.needs = ["a"] }),
        ])
        script.start(0)
        script.start(1)
        script.list([("a", 2), ("b", 3)])
        script.take(.commanded(ServiceID(0), .down))
        script.take(.commanded(ServiceID(0), .exit))
        script.end(0, 15)
        // It has the place of the one that went.
        #expect(
            script.list([("a", 2), ("b", 3), ("y", 4)]) == [
                .examine(PairID(0), name: "y", Script.file(4))
            ])
        #expect(script.take(.ready(ServiceID(1))).starts == [])
        script.take(.examined(PairID(0), log: nil))
        let first = asks {
            $0.before = ["b"]
            $0.readiness = .notify
        }
        #expect(script.take(.opened(ServiceID(0), isDown: false, first)).starts == [0])
        script.start(0)
        #expect(script.take(.ready(ServiceID(0))).starts == [2])
    }

    // MARK: - Ends

    @Test("What is essential ends everything, with its status, whatever the main command's is")
    func essential() {
        var (script, _) = Script.services(
            [
                ("a", asks { _ in }),
                (
                    "b",
                    asks {
                        $0.isEssential = true
                        $0.restart = .never
                    }
                ),
            ], command: "main")
        script.start(1)
        script.start(2)
        #expect(script.end(2, 7 << 8).ends.sorted() == [99, 101])
        script.end(1, 15)
        #expect(script.take(.died(pid: 99, Death(status: 15))).exitCode == 7)
        #expect(script.conductor.reason == "the essential service b has ended")
    }

    @Test("Another is run only when it is over, and dependents are restarted after each end")
    func consequences() {
        var (script, _) = Script.services([
            (
                "a",
                asks {
                    $0.onFailure = .run("hook")
                    $0.restartLimit = 1
                    $0.limitWindow = 60_000_000_000
                }
            ), ("b", asks { $0.onFailure = .restartDependents }),
            ("c", asks { $0.needs = ["b"] }), ("hook", asks { _ in }),
        ])
        for index in 0..<4 { script.start(index) }
        script.take(.commanded(ServiceID(3), .down))
        script.end(3, 15)
        #expect(script.end(0, 256, at: 5000).starts == [0])
        script.start(0)
        #expect(script.end(0, 256, at: 7000).starts == [3])
        #expect(script.end(1, 256, at: 8000).ends == [102])
    }
}
