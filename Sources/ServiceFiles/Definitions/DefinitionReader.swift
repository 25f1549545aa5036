import Bytes
import Linux
import Services

public struct DefinitionReader {
    public static func read(_ place: Directory, name: ByteString) -> (
        definition: ServiceDefinition, problems: [DefinitionProblem]
    ) {
        var definition = ServiceDefinition.plain
        do throws(SystemError) {
            if try exists("finish", in: place) { definition.programs.insert(.finish) }
            if try exists("notification-fd", in: place) { definition.readiness = .descriptor(3) }
            if try exists("notify-me", in: place) { definition.readiness = .notify }
        } catch {}
        return (definition, [])
    }
}
