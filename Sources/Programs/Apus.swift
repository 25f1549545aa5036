import Bytes
import Commands
import Linux

/// The entry point: finds the program by argument zero or one, runs it, and turns what it returns
/// into an exit code or an exec.
@_cdecl("apus_main")
public func apusMain(
    _ count: Int32, _ vector: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>
) -> Int32 {
    var words: [ByteString] = []
    words.reserveCapacity(Int(count))
    for index in 0..<Int(count) {
        if let word = vector[index] { words.append(ByteString(cString: word)) }
    }
    return run(words, .inherited)
}

/// Runs a program and those it becomes, as long as they are stages of this binary; an exec ends the
/// loop, and so does an exit code.
private func run(_ words: [ByteString], _ environment: Environment) -> Int32 {
    guard var (program, arguments) = select(words) else { return describe(words) }
    var environment = environment
    while true {
        let call = Call(arguments: arguments, environment: environment)
        do throws(Failure) {
            switch try program.run(call) {
            case .exit(let code): return code
            case .become(let invocation):
                guard let stage = stage(invocation) else {
                    let failure = failureToBecome(invocation)
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

/// `svc …` and `apus svc …` are the same. Called as anything else, `apus …` is `init …`, so that an
/// image may name the binary alone as its entry point.
private func select(_ words: [ByteString]) -> (Program, [ByteString])? {
    guard let name = words.first?.lastComponent else { return nil }
    if let program = Program.named(name) { return (program, words) }
    if words.count > 1, let program = Program.named(words[1]) {
        return (program, Array(words.dropFirst()))
    }
    if CurrentProcess.id == 1, let program = Program.named("init") {
        return (program, ["init"] + words.dropFirst())
    }
    return nil
}

private func failureToBecome(_ invocation: Invocation) -> Failure {
    do { try invocation.execute() } catch {
        return error.explained("unable to run \(invocation.program)")
    }
}

/// `apus --list` prints the programs' names for the installer; all else prints the usage.
private func describe(_ words: [ByteString]) -> Int32 {
    let namesOnly = words.count == 2 && words[1] == "--list"
    var text: [UInt8] = namesOnly ? [] : Array("usage: apus program [ arg ... ]\n\n".utf8)
    for index in Program.all.indices {
        let program = Program.all[index]
        let name: ByteString = "\(program.name)"
        text += name.bytes
        if !namesOnly {
            text += [UInt8](repeating: UInt8(ascii: " "), count: max(1, 16 - name.count))
            text += ByteString("\(program.summary)").bytes
        }
        text.append(UInt8(ascii: "\n"))
    }
    do { try writeAll(Standard.output, text) } catch { return 111 }
    return namesOnly ? 0 : 100
}
