import Bytes
import Commands
import Linux

/// Puts a copy of this process between its standard input and output and the program that the caller is
/// about to become, and returns as that program: its process id stays. The copy passes what comes in
/// through `inward` and what goes out through `outward`, and ends with the output.
public func interpose(_ inward: some ByteFilter, _ outward: some ByteFilter) throws(Failure) {
    try keepStandardDescriptors()
    let toProgram = try makePipe()
    let fromProgram = try makePipe()
    do throws(SystemError) {
        if case .child = try forkProcess() {
            exitNow(relay(inward, writer(of: toProgram), reader(of: fromProgram), outward))
        }
    } catch { throw error.explained("unable to fork") }
    do throws(SystemError) {
        try redirect(Standard.input, to: toProgram.reader.number)
        try redirect(Standard.output, to: fromProgram.writer.number)
    } catch { throw error.explained("unable to move descriptors") }
}

/// A pipe must not become standard input because that was closed.
private func keepStandardDescriptors() throws(Failure) {
    do throws(SystemError) {
        for descriptor in [Standard.input, Standard.output, Standard.error] {
            try ensureOpen(descriptor)
        }
    } catch { throw error.explained("unable to open /dev/null") }
}

private func makePipe() throws(Failure) -> Pipe {
    do throws(SystemError) { return try Pipe() } catch {
        throw error.explained("unable to create pipe")
    }
}

// The copy must close the program's ends, or it would wait for itself.
private func reader(of pipe: consuming Pipe) -> Descriptor { pipe.reader }
private func writer(of pipe: consuming Pipe) -> Descriptor { pipe.writer }

/// Passes on until the end; returns the copy's exit code. Returning Never instead, it would lose what its
/// generic arguments hold in the release build.
private func relay(
    _ inward: some ByteFilter, _ toProgram: consuming Descriptor,
    _ fromProgram: consuming Descriptor, _ outward: some ByteFilter
) -> Int32 {
    do throws(SystemError) {
        try setDisposition(.pipe, ignored: true)
        var relay = Relay(
            from: Standard.input, through: inward, to: toProgram.number, closing: toProgram,
            from: fromProgram.number, through: outward, to: Standard.output)
        try relay.run()
    } catch {
        // The program sees its pipes closed, and whoever reaps the copy that it failed.
        return 111
    }
    return 0
}
