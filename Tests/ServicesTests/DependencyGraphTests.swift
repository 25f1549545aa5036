import Bytes
import Testing

@testable import Services

/// Definitions from lines like `web needs db cache`; `x contents a b` makes a bundle.
private func definitions(_ lines: String...) -> [ByteString: ServiceDefinition] {
    definitions(lines)
}

private func definitions(_ lines: [String]) -> [ByteString: ServiceDefinition] {
    var all: [ByteString: ServiceDefinition] = [:]
    for line in lines {
        let words = line.split(separator: " ").map { ByteString(String($0)) }
        var definition = all[words[0]] ?? .plain
        let names = Array(words.dropFirst(2))
        switch words.count > 1 ? words[1] : "" {
        case "needs": definition.needs += names
        case "wants": definition.wants += names
        case "after": definition.after += names
        case "before": definition.before += names
        case "contents":
            definition.kind = .bundle
            definition.contents += names
        case "on-failure": definition.onFailure = .run(names[0])
        case "on-end": definition.onEnd = .run(names[0])
        default: break
        }
        all[words[0]] = definition
    }
    return all
}

extension DependencyGraph {
    /// `db:needs log:after`
    fileprivate func before(_ name: ByteString) -> String {
        prerequisites(of: name).map {
            "\(String(decoding: $0.name.bytes, as: UTF8.self)):\($0.relation)"
        }
        .joined(separator: " ")
    }

    fileprivate var complaints: [String] {
        problems.map { problem in
            [problem.name, problem.setting, problem.text]
                .map { String(decoding: $0.bytes, as: UTF8.self) }.joined(separator: "|")
        }
    }
}

@Suite("Dependencies") struct DependencyGraphTests {
    @Test("Nothing named, nothing found")
    func plain() {
        let graph = DependencyGraph(definitions("a", "b"))
        #expect(graph.before("a") == "")
        #expect(graph.dependents(on: "a") == [])
        #expect(graph.closure(of: "a") == ["a"])
        #expect(graph.problems == [])
        #expect(!graph.isBroken("a"))
        #expect(DependencyGraph([:]).problems == [])
    }

    @Test("Each is named once, with the strongest relation, by name")
    func relations() {
        let graph = DependencyGraph(
            definitions(
                "web needs db", "web wants cache db", "web after log db cache", "early before web",
                "db before web", "db", "cache", "log"))
        #expect(graph.before("web") == "cache:wants db:needs early:after log:after")
        #expect(graph.dependents(on: "db") == ["web"])
        #expect(graph.dependents(on: "cache") == [])
        #expect(graph.closure(of: "web") == ["db", "cache", "web"])
    }

    @Test("What is brought up together comes in order, also by after")
    func order() {
        let graph = DependencyGraph(
            definitions(
                "a needs b c", "b after c", "c after d", "d after b2", "b2", "c wants e", "e"))
        #expect(graph.closure(of: "a") == ["e", "c", "b", "a"])
        #expect(graph.closure(of: "nobody") == [])
    }

    @Test("A bundle is a name for its contents, on either side")
    func bundles() {
        let graph = DependencyGraph(
            definitions(
                "web needs stores", "stores contents db more", "more contents cache queue",
                "more needs disk", "stores before late", "late", "db", "cache", "queue", "disk"))
        #expect(graph.before("web") == "cache:needs db:needs queue:needs")
        #expect(graph.before("cache") == "disk:needs")
        #expect(graph.before("db") == "")
        #expect(graph.before("late") == "cache:after db:after queue:after")
        #expect(graph.before("stores") == "cache:needs db:needs queue:needs")
        #expect(graph.dependents(on: "queue") == ["web"])
        #expect(graph.dependents(on: "stores") == ["web"])
        #expect(graph.dependents(on: "disk") == ["cache", "queue"])
        #expect(graph.closure(of: "stores") == ["db", "disk", "cache", "queue", "stores"])
        #expect(graph.closure(of: "web") == ["db", "disk", "cache", "queue", "web"])
        #expect(graph.problems == [])
    }

    @Test("What a bundle waits for, each of its contents waits for")
    func bundleAfter() {
        let graph = DependencyGraph(
            definitions("x contents a b", "x after c", "c", "a", "b", "early before x"))
        #expect(graph.before("a") == "c:after early:after")
    }

    @Test("Unknown names: those that are needed break, those that are merely waited for are silent")
    func unknown() {
        let graph = DependencyGraph(
            definitions(
                "a needs gone", "b needs a", "c wants gone a", "d after gone", "e before gone",
                "x contents gone d", "f needs x", "g on-failure gone", "h on-end gone", "i after a")
        )
        #expect(
            graph.complaints == [
                "a|needs|unknown service gone", "c|wants|unknown service gone",
                "g|on-failure|unknown service gone", "h|on-end|unknown service gone",
                "x|contents|unknown service gone",
            ])
        let broken = ["a", "b", "c", "d", "e", "f", "g", "h", "i", "x"].filter {
            graph.isBroken(ByteString($0))
        }
        #expect(broken == ["a", "b", "f", "x"])
        #expect(graph.isBroken("gone"))
    }

    @Test(
        "Cycles are told once, at the first of them",
        arguments: [
            (["a needs a"], ["a|needs|a needs itself"], "a"),
            (["a after a"], ["a|after|a waits for itself"], "a"),
            (["a before a"], ["a|before|a waits for itself"], "a"),
            (
                ["web needs db", "db needs cache", "cache needs web"],
                ["cache|needs|cache, db and web need one another"], "web db cache"
            ),
            (["a needs b", "b after a"], ["a|needs|a and b wait for one another"], "a b"),
            (["b before a", "a before b"], ["a|before|a and b wait for one another"], "a b"),
            (
                ["a needs b", "b wants a", "c needs a", "d wants a", "e after a"],
                ["a|needs|a and b wait for one another"], "a b c"
            ),
            (["x contents x"], ["x|contents|x contains itself"], "x"),
            (
                ["x contents y", "y contents x a", "a", "b needs x"],
                ["x|contents|x and y contain one another"], "b x y"
            ),
            (["x contents a b", "a needs x", "b"], ["a|needs|a needs itself by way of x"], "a x"),
            (
                ["x contents a b", "x wants a", "a", "b"],
                ["x|wants|a waits for itself by way of x"], "a x"
            ),
            (
                ["x contents a b", "x needs a", "a", "b"],
                ["x|needs|a needs itself by way of x"], "a b x"
            ),
        ])
    func cycles(lines: [String], complaints: [String], broken: String) {
        let all = definitions(lines)
        let graph = DependencyGraph(all)
        #expect(graph.complaints == complaints)
        let names = broken.split(separator: " ").map { ByteString(String($0)) }
        for name in all.keys { #expect(graph.isBroken(name) == names.contains(name), "\(name)") }
        for name in all.keys { #expect(graph.closure(of: name).last == name) }
    }

    @Test("The value at fault is told")
    func values() {
        let graph = DependencyGraph(
            definitions(
                "a needs b gone", "b before d", "d before b", "x contents y", "y contents x",
                "e needs f", "f needs e"))
        #expect(graph.problems.map(\.name) == ["a", "b", "e", "x"])
        #expect(graph.problems.map(\.value) == ["gone", "d", "f", "y"])
    }

    @Test("A long cycle is cut short")
    func longCycle() {
        var all: [ByteString: ServiceDefinition] = [:]
        for index in 10..<90 {
            all["s\(index)"] = .plain
            all["s\(index)"]?.needs = ["s\(index == 89 ? 10 : index + 1)"]
        }
        let text = "s10, s11, s12, s13, s14, s15, s16, s17 and 72 others need one another"
        #expect(DependencyGraph(all).complaints == ["s10|needs|\(text)"])
    }

    @Test("Names are made fit for a terminal")
    func visible() {
        var definition = ServiceDefinition.plain
        definition.needs = ["\u{1b}[2J"]
        let graph = DependencyGraph(["a": definition])
        #expect(graph.complaints == ["a|needs|unknown service \\x1b[2J"])
    }

    @Test("Ten thousand services, ten deep, each needing a bundle of a thousand")
    func scale() {
        var all: [ByteString: ServiceDefinition] = [:]
        var bundle = ServiceDefinition.plain
        bundle.kind = .bundle
        for index in 0..<10_000 {
            var definition = ServiceDefinition.plain
            if index >= 1_000 { definition.needs = ["s\(index - 1_000)", "all"] }
            if index < 1_000 { bundle.contents.append("s\(index)") }
            all["s\(index)"] = definition
        }
        all["all"] = bundle
        let clock = ContinuousClock()
        let start = clock.now
        let graph = DependencyGraph(all)
        #expect(!graph.isBroken("s9999"))
        #expect(graph.closure(of: "s9999").count == 1_000 + 9)
        // Ten million edges, if bundles were written out.
        #expect(clock.now - start < .seconds(20))
    }

    @Test("A chain of 20,000 overflows no stack")
    func depth() {
        var all: [ByteString: ServiceDefinition] = ["s0": .plain]
        for index in 1..<20_000 {
            all["s\(index)"] = .plain
            all["s\(index)"]?.needs = ["s\(index - 1)"]
        }
        let graph = DependencyGraph(all)
        #expect(graph.closure(of: "s19999").count == 20_000)
        all["s0"]?.needs = ["gone"]
        #expect(DependencyGraph(all).isBroken("s19999"))
    }

    @Test("All that need a service, and the order in which they end")
    func stopOrder() {
        let graph = DependencyGraph(
            definitions(
                "db", "api needs db", "web needs api db", "mail wants db", "cron needs web",
                "stack contents db mail", "report needs stack"))
        #expect(graph.services(named: "stack") == ["db", "mail"])
        #expect(graph.services(named: "db") == ["db"])
        let all = graph.allDependents(on: ["db"])
        #expect(all == ["api", "cron", "report", "web"])
        #expect(graph.stopOrder(of: all) == [["cron", "report"], ["web"], ["api"]])
        #expect(graph.allDependents(on: ["mail"]) == ["report"])
        #expect(graph.allDependents(on: ["cron", "nobody"]) == [])
        #expect(graph.stopOrder(of: []) == [])
    }

    @Test("A circle ends in one group")
    func stopOfACircle() {
        let graph = DependencyGraph(definitions("a needs b", "b needs a", "c needs a", "d needs d"))
        #expect(graph.allDependents(on: ["a"]) == ["b", "c"])
        #expect(graph.stopOrder(of: ["a", "b", "c", "d"]) == [["c", "d"], ["a", "b"]])
    }
}
