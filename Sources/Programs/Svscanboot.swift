import Bytes
import Commands
import Linux

/// svscanboot(8): starts svscan with a clean environment and its errors in a process title. It becomes
/// svscan, so that whoever started it can stop svscan in order.
func svscanboot(_ call: Call) throws(Failure) -> Outcome {
    guard call.arguments.count <= 2 else { throw Failure(usage: "svscanboot [ directory ]") }
    let directory = call.arguments.count > 1 ? call.arguments[1] : defaultDirectory()
    let path: ByteString =
        "/command:/usr/local/bin:/usr/local/sbin:/bin:/sbin:/usr/bin:/usr/sbin:/usr/X11R6/bin"
    let environment = Environment(["PATH=\(path)"])
    do throws(SystemError) {
        // Whoever started this may ignore it, as systemd does. Services are not to.
        try setDisposition(.pipe, ignored: false)
        let null = try openFile("/dev/null", .readWrite).release()
        for descriptor in Standard.input...Standard.error { try redirect(descriptor, to: null) }
        stopOthers(directory, environment)
        let pipe = try Pipe()
        startReader(pipe.reader.number, environment)
        try redirect(Standard.output, to: pipe.writer.number)
        try redirect(Standard.error, to: pipe.writer.number)
    } catch {
        throw error.explained("unable to set up \(error.call)")
    }
    return .become(Invocation(command: ["svscan", directory], environment: environment))
}

/// The scan directory where none is named: where daemontools looks, or where Debian's does.
func defaultDirectory() -> ByteString {
    do throws(SystemError) { return try exists("/service") ? "/service" : "/etc/service" } catch {
        return "/service"
    }
}

/// Supervisors left behind by an earlier svscan are told to end.
private func stopOthers(_ directory: ByteString, _ environment: Environment) {
    do throws(SystemError) {
        let names = try entries(of: directory).filter { $0[0] != UInt8(ascii: ".") }
        let services: [ByteString] = names.map { "\(directory)/\($0)" }
        sendCommands(Array("dx".utf8), to: services + services.map { "\($0)/log" }, environment)
    } catch {
        // svscan will say what is wrong with the directory.
    }
}

/// As svc does, whose complaints nobody would see.
private func sendCommands(
    _ commands: [UInt8], to directories: [ByteString], _ environment: Environment
) {
    let words: [ByteString] = ["svc", "-\(ByteString(commands))", "--"]
    do throws(Failure) {
        _ = try svc(Call(arguments: words + directories, environment: environment))
    } catch {}
}

/// Without a reader svscan's complaints are lost, which is no reason not to run services.
private func startReader(_ input: Int32, _ environment: Environment) {
    let dots = ByteString([UInt8](repeating: UInt8(ascii: "."), count: 400))
    let words: [ByteString] = ["readproctitle", "service", "errors:", dots]
    var setup = ChildSetup()
    setup.descriptors = [input]
    do throws(SpawnError) {
        _ = try spawn(Invocation(command: words, environment: environment), setup)
    } catch {}
}
