import Bytes
import Commands
import Linux

/// fghack(8): runs the child and waits until nobody has its pipe open any more, so that a daemon that
/// puts itself into the background stays supervised.
func fghack(_ call: Call) throws(Failure) -> Outcome {
    guard call.arguments.count > 1 else { throw Failure(usage: "fghack child") }
    let invocation = Invocation(
        command: call.arguments.dropFirst(), environment: call.environment)
    let pipe: Pipe
    do throws(SystemError) { pipe = try Pipe() } catch {
        throw error.explained("unable to create pipe")
    }
    let process: ForkResult
    do throws(SystemError) { process = try forkProcess() } catch {
        throw error.explained("unable to fork")
    }
    switch process {
    case .child:
        _ = consume pipe.reader
        holdOpen(pipe.writer)
        return .become(invocation)
    case .parent(let child):
        let reader = pipe.reader
        _ = consume pipe.writer
        return .exit(try wait(for: child, reader))
    }
}

/// Thirty copies more than the one: a daemon that closes what it finds mostly stops before.
private func holdOpen(_ writer: consuming Descriptor) {
    // Where descriptors are scarce, fewer will have to do.
    do throws(SystemError) {
        try writer.keepOnExec()
        for _ in 0..<30 { try writer.copyForExec() }
    } catch {}
    _ = writer.release()
}

/// The child's exit code, once nobody has the pipe open for writing.
private func wait(for child: ProcessID, _ reader: borrowing Descriptor) throws(Failure) -> Int32 {
    awaitEnd(of: reader)
    let result: WaitResult
    do throws(SystemError) { result = try reap(child, block: true) } catch {
        throw error.explained("wait failed")
    }
    guard case .ended(_, let status) = result else { throw Failure("wait failed", .noChild) }
    guard let code = status.exitCode else { throw Failure("child crashed") }
    return code
}

/// Reads until end of file, or an error that cannot be met on a pipe.
private func awaitEnd(of reader: borrowing Descriptor) {
    withUnsafeTemporaryAllocation(byteCount: 256, alignment: 1) { buffer in
        do throws(SystemError) { while try reader.read(into: buffer) > 0 {} } catch {}
    }
}
