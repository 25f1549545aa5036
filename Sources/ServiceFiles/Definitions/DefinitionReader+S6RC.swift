import Bytes
import Commands
import Linux
import Services

// The source directories of s6-rc.
extension DefinitionReader {
    /// Reads what s6-rc-compile reads. `flag-essential` and `flag-recommended` ask nothing of a supervisor.
    func readS6RC(_ type: ServiceDefinition.Kind) {
        definition.kind = type
        definition.needs += list(.dependencies, "needs") + list(.dependenciesD, "needs")
        if definition.kind == .bundle {
            definition.contents += list(.contents, "contents") + list(.contentsD, "contents")
        }
        readTimeouts()
        if definition.kind == .longrun { readPipeline() }
    }

    private func readPipeline() {
        let consumers = list(.producerFor, "producer-for", "needs")
        definition.consumer = consumers.first
        if consumers.count > 1 { complain(.producerFor, 0, "more than one reader") }
        if !consumers.isEmpty, hasLogger {
            complain(.producerFor, 0, "no effect: what it writes goes to log/")
        }
        definition.producers = list(.consumerFor, "consumer-for")
        definition.pipelineName = list(.pipelineName, "pipeline-name").first
    }

    /// What kind of thing `type` says it is; nil where there is none, or nothing that s6-rc would take.
    func readType() -> ServiceDefinition.Kind? {
        guard let type = firstLine(of: .type) else { return nil }
        switch type {
        case "longrun": return .longrun
        case "oneshot": return .oneshot
        case "bundle": return .bundle
        default:
            complain(.type, 1, "\"\(type.visible)\" is not one of longrun, oneshot, bundle")
            return nil
        }
    }

    /// What somebody may take to have an effect.
    func complainOfMissingType() {
        if contains(.type) { return }
        for file in [.dependencies, .dependenciesD, .contentsD, .producerFor, .consumerFor]
            as [DefinitionFile] where contains(file)
        {
            complain(file, 0, "no effect without a file type, as in s6-rc")
        }
    }

    /// How long a one-shot may take, or a service that tells until it is ready.
    private func readTimeouts() {
        let up = milliseconds(in: .timeoutUp)
        let down = milliseconds(in: .timeoutDown)
        if definition.kind == .oneshot {
            definition.upLimit = up?.value
            definition.downLimit = down?.value
        } else if definition.readiness != .start {
            definition.readyLimit = up?.value
        }
    }

    /// The names in a file, one a line, or those of a directory's entries, as values of these settings.
    private func list(_ file: DefinitionFile, _ settings: ByteString...) -> [ByteString] {
        guard contains(file) else { return [] }
        var names: [ByteString] = []
        if file.isDirectory {
            for name in self.names(in: file) {
                if Settings.isServiceName(name) {
                    names.append(name)
                    for setting in settings { note(setting, name, "\(file.name)/\(name)", 0) }
                } else {
                    complain(file, 0, "\"\(name.visible)\" is no name of a service")
                }
            }
            names.sortByBytes()
            return names
        }
        guard let content = content(of: file) else { return [] }
        var number = 0
        for line in content.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false) {
            number += 1
            let word = trimmed(line)
            if word.isEmpty || word.first == UInt8(ascii: "#") { continue }
            let name = ByteString(word)
            if !Settings.isServiceName(name) || name.count != word.count {
                complain(file, number, "\"\(name.visible)\" is no name of a service")
            } else if names.count < DefinitionReader.mostNames {
                names.append(name)
                for setting in settings { note(setting, name, file.name, number) }
            }
        }
        return names
    }
}
