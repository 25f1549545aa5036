import Bytes
import Commands
import Formats
import Linux
import ServiceFiles
import Services

/// svwait(8): waits until services are up, ready, down or finished.
func svwait(_ call: Call) throws(Failure) -> Outcome {
    let usage = Failure(
        usage: "svwait [ -ao ] [ -t time ] up | ready | down | finished service ...")
    var reader = OptionReader(call.arguments, options, call.messages)
    var condition: ServiceCondition?
    var isAny = false
    var patience = try WaitPatience("")
    while let result = reader.next() {
        switch result {
        case .option(.condition(let wanted), _): condition = wanted
        case .option(.all, _): isAny = false
        case .option(.any, _): isAny = true
        case .option(.time, let value):
            guard !value.isEmpty else { throw usage }
            patience = try WaitPatience(value)
        case .wrong: throw usage
        }
    }
    var names = call.arguments.dropFirst(reader.operands)
    if condition == nil {
        guard let word = names.popFirst() else { throw usage }
        condition = ServiceCondition.allCases.first { word.isSpelled($0.word) }
    }
    guard let condition, !names.isEmpty else { throw usage }
    return .exit(try wait(for: Array(names), condition, isAny: isAny, patience, call))
}

private enum SvwaitOption {
    /// Wait for this, by the letters of s6-svwait.
    case condition(ServiceCondition)
    /// Wait for all services.
    case all
    /// Wait for one of them.
    case any
    /// Wait so long at most.
    case time
}

private let options: [OptionName<SvwaitOption>] = [
    OptionName("u", .condition(.up)), OptionName("U", .condition(.ready)),
    OptionName("d", .condition(.down)), OptionName("D", .condition(.finished)),
    OptionName("a", .all), OptionName("o", .any), OptionName("t", .time, takesValue: true),
]

private func wait(
    for names: [ByteString], _ condition: ServiceCondition, isAny: Bool, _ patience: WaitPatience,
    _ call: Call
) throws(Failure) -> Int32 {
    let scan = ServiceNames(call.environment)
    let states = StatePlaces(ofClientWith: call.environment)
    var services: [WatchedService] = []
    var isIncomplete = false
    for name in names {
        let directory = scan.directory(of: name)
        do throws(SystemError) {
            services.append(
                try WatchedService(name: name, path: directory, states: states))
        } catch {
            guard error.errno == .noReader else {
                throw error.explained("unable to read the status of \(directory)")
            }
            isIncomplete = true
            call.messages.warning("\(name): not supervised")
        }
    }
    if isIncomplete && (!isAny || services.isEmpty) { return 1 }
    let wait = ServiceWait(services)
    return try patience.exitCode(of: services, isAny: isAny, call.messages) {
        (deadline) throws(SystemError) in
        try wait.verdicts(isAny: isAny, until: deadline) { (service, _) throws(SystemError) in
            guard let record = try service.record() else {
                return .impossible("not supervised any more")
            }
            if record.meets(condition) { return .reached }
            return record.mayMeet(condition) ? .pending : .impossible(record.failure)
        }
    }
}

extension StatusRecord {
    /// What to say of a service that has failed for good.
    fileprivate var failure: ByteString {
        guard let reason = details?.reason.words else { return "failed" }
        return "failed: \(reason)"
    }
}
