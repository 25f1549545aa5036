import Bytes
import Services

/// A format that definitions come in, for tests that read anything as one.
enum DefinitionFormat: String, CaseIterable {
    case settings

    /// Reads `bytes`, twice with the same outcome, and sees what others would make of them.
    func take(_ bytes: [UInt8]) {
        var definition = ServiceDefinition.plain
        let settings = Settings(bytes)
        let problems = settings.apply(to: &definition)
        var again = ServiceDefinition.plain
        precondition(Settings(bytes).apply(to: &again) == problems && again == definition)
        let lines = bytes.count { $0 == UInt8(ascii: "\n") } + 1
        var last = 1
        for problem in problems {
            precondition((last...lines).contains(problem.line), "a line that is not there")
            precondition(!problem.text.isEmpty, "a mistake without words")
            precondition(problem.text.visible == problem.text, "a mistake with escapes")
            last = problem.line
        }
        let names = definition.needs + definition.wants + definition.contents
        precondition(names.allSatisfy { Settings.isServiceName($0) }, "no name of a service")
        precondition(definition.delay <= definition.longestDelay, "delays that shrink")
        let graph = DependencyGraph(["a": definition, "b": .plain])
        _ = graph.isBroken("a")
        precondition(graph.closure(of: "a").last == "a", "not itself last")
    }
}
