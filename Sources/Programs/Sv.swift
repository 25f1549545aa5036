import Bytes
import Commands
import Linux
import ServiceFiles

/// sv(8) of runit: controls services and tells their state. Under any other name it is the init script of the
/// service of that name.
func sv(_ call: Call) throws(Failure) -> Outcome {
    let isScript = call.messages.program != "sv"
    let usage =
        isScript
        ? Failure(usageOfRunit: "[-w sec] command", exitCode: 2)
        : Failure(usageOfRunit: "[-v] [-w sec] command service ...")
    var patience = call.environment["SVWAIT"].map { scanDecimal($0.bytes).value } ?? 7
    var waits = false
    var reader = OptionReader(call.arguments, SvOption.names, call.messages)
    while let result = reader.next() {
        guard case .option(let option, let value) = result else { throw usage }
        switch option {
        case .patience:
            patience = scanDecimal(value.bytes).value
            waits = true
        case .verbose: waits = true
        case .version:
            call.messages.line("version \(version)")
            throw usage
        }
    }
    let words = call.arguments[reader.operands...]
    let services = isScript ? [call.messages.program] : Array(words.dropFirst())
    guard let word = words.first, !services.isEmpty,
        let action = SvAction(word, isScript: isScript, waits: waits)
    else { throw usage }
    var run = SvRun(
        SvRun.Configuration(
            action, services, in: svDirectory(call.environment), patience: patience,
            isScript: isScript),
        environment: call.environment)
    do throws(SystemError) { return .exit(try run.run()) } catch {
        throw error.explained(
            "unable to open current directory", exitCode: SvRun.fatalCode(isScript: isScript))
    }
}

private enum SvOption {
    /// For how many seconds an effect is waited for.
    case patience
    /// Wait for the effect of every command.
    case verbose
    /// Print the version.
    case version

    static var names: [OptionName<SvOption>] {
        [
            OptionName("w", .patience, takesValue: true), OptionName("v", .verbose),
            OptionName("V", .version),
        ]
    }
}

/// Where services are: $SVDIR, or the first that is there of the directories that are usual.
private func svDirectory(_ environment: Environment) -> ByteString {
    if let directory = environment["SVDIR"] { return directory }
    do throws(SystemError) { return try exists("/service") ? "/service" : "/etc/service" } catch {
        return "/service"
    }
}
