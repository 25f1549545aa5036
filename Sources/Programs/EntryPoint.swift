import Bytes
import Commands
import Init
import Linux

/// The entry point: finds the program by argument zero or one, runs it, and turns what it returns
/// into an exit code or an exec.
@_cdecl("apus_main")
public func apusMain(
    _ count: Int32, _ vector: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>
) -> Int32 {
    surviveEarlyFaults(vector)
    CurrentProcess.noteArguments(vector)
    var words: [ByteString] = []
    words.reserveCapacity(Int(count))
    for index in 0..<Int(count) {
        if let word = vector[index] { words.append(ByteString(cString: word)) }
    }
    // Whatever the kernel's command line has for process 1 of a machine, it is no other program.
    if MachineFacts.isProcessOne(.inherited) { words = ["init"] }
    var environment = Environment.inherited
    // It is for this image of this process alone.
    environment.unset(CarriedTable.variable)
    return run(words, environment)
}

/// Runs a program and those it becomes, as long as they are stages of this binary; an exec ends the
/// loop, and so does an exit code.
private func run(_ words: [ByteString], _ environment: Environment) -> Int32 {
    var (program, arguments) = select(words) ?? (Program.apus, words)
    var environment = environment
    while true {
        let call = Call(arguments: arguments, environment: environment)
        do throws(Failure) {
            switch try program.perform(call) {
            case .exit(let code): return code
            case .become(let invocation):
                guard let stage = stage(invocation) else {
                    let failure = exec(invocation)
                    if invocation.failsQuietly { return failure.exitCode }
                    throw failure
                }
                (program, arguments) = stage
                environment = invocation.environment
            }
        } catch {
            call.messages.report(error)
            return error.exitCode
        }
    }
}

/// The program that `invocation` becomes, if it is a stage of this binary. Only stages are called
/// without an exec: what stays for long is to be seen under its own command line.
private func stage(_ invocation: Invocation) -> (Program, [ByteString])? {
    guard let (program, arguments) = select(invocation.arguments), program.isStage,
        let path = OwnBinary.path(runBy: invocation)
    else { return nil }
    // As exec does; a lack of it would do no harm.
    do throws(SystemError) { try CurrentProcess.setName(path.lastComponent) } catch {}
    return (program, arguments)
}

/// `svc …` and `apus svc …` are the same. As process 1, called as anything else, `apus …` is
/// `init …`, so that an image may name the binary alone as its entry point.
private func select(_ words: [ByteString]) -> (Program, [ByteString])? {
    guard let name = words.first?.lastComponent else { return nil }
    if let program = Program.named(name) { return (program, words) }
    if isInitScript, let program = Program.named("sv") { return (program, words) }
    if words.count > 1 {
        if let program = Program.named(words[1]) { return (program, Array(words.dropFirst())) }
        // A step of an image's build is process 1 too.
        if isOwnOption(words[1]) { return nil }
    }
    if CurrentProcess.id == 1, let program = Program.named("init") {
        return (program, ["init"] + words.dropFirst())
    }
    return nil
}

/// Whether this process was executed by way of a link to `sv`, under another name: an init script for runit.
private var isInitScript: Bool {
    guard var path = CurrentProcess.executedPath else { return false }
    // The links that the kernel follows: path_resolution(7).
    for _ in 0..<40 {
        do throws(SystemError) {
            let target = try readLink(path)
            let directory = path.bytes.dropLast(path.lastComponent.count)
            path = target.hasPrefix("/") ? target : "\(ByteString(directory))\(target)"
        } catch { return false }
        if path.lastComponent == "sv" { return true }
    }
    return false
}

/// Replaces this process; returns only why that failed.
private func exec(_ invocation: Invocation) -> Failure {
    do { try invocation.execute() } catch {
        guard let cause = explain(execFailure: error.errno, of: invocation) else {
            return error.explained("\(invocation.complaint)\(invocation.program)")
        }
        return error.explained("\(invocation.complaint)\(invocation.program): \(cause)")
    }
}
