import Bytes
import CLinux

extension CurrentProcess {
    /// Goes on as a copy of this process in the pid namespace that `startNamespaces` has made: as its process 2, and the
    /// only one but process 1, another copy, which reaps orphans and does nothing else. Returns in the copy only. This
    /// process stays outside for as long as the copy lives. It passes signals on to it and ends as it does, by its exit
    /// code or signal. Whatever the reason, the end of this process or of the copy is the end of all in the namespace.
    /// fork(2), pid_namespaces(7).
    public static func continueAmongOwnProcesses() throws(SystemError) {
        let blocked = try SignalSet.all.block()
        // What process 1 of the namespace never waits for is reaped by the kernel then, from its first moment on.
        let ignoresChildren = try setDisposition(.child, ignored: true)
        let lifeline = try makeLifeline()
        guard case .parent(let reaper) = try forkProcess() else {
            reapUntilEnd(of: lifeline.reader)
        }
        try setDisposition(.child, ignored: false)
        if case .parent(let copy) = try forkProcess() {
            standIn(for: copy, reaper, holding: lifeline.writer)
        }
        closeUnowned(lifeline.reader)
        closeUnowned(lifeline.writer)
        try setDisposition(.child, ignored: ignoresChildren)
        try blocked.block()
    }

    /// The ends of a pipe. Each of the three processes keeps one or none, and closes what it does not keep.
    private static func makeLifeline() throws(SystemError) -> (reader: Int32, writer: Int32) {
        let pipe = try Pipe()
        return (pipe.reader.release(), pipe.writer.release())
    }

    /// The number of the copy in its namespace.
    public static let idAmongOwnProcesses: ProcessID = 2

    /// Process 1 of the namespace, whose end is that of all in it: ends once nobody holds the other end of the pipe.
    private static func reapUntilEnd(of lifeline: Int32) -> Never {
        do throws(SystemError) {
            // It is not confined as its fellows will be, who must not get at it.
            try forbidInspection()
            closeAllButOne(lifeline)
            var byte: UInt8 = 0
            try withUnsafeMutableBytes(of: &byte) { (buffer) throws(SystemError) in
                _ = try read(Standard.input, into: UnsafeMutableRawBufferPointer(buffer))
            }
        } catch { exitNow(111) }
        exitNow(0)
    }

    /// The process outside, for the copy that does the work.
    private static func standIn(
        for copy: ProcessID, _ reaper: ProcessID, holding lifeline: Int32
    ) -> Never {
        closeAllButOne(lifeline)
        // A terminal stops this one with the copy.
        let stops = SignalSet(.terminalStop, .terminalInput, .terminalOutput)
        // The keys of a terminal reach the copy by themselves.
        let keys = SignalSet(.interrupt, .quit, .windowChange)
        do throws(SystemError) {
            try SignalSet.all.subtracting(stops).block()
            while true {
                let received = try awaitSignalWithOrigin(SignalSet.all.subtracting(stops))
                let signal = received.signal
                if signal == .child {
                    if case .ended(_, let status) = try reap(copy) {
                        end(as: status, after: reaper)
                    }
                } else if received.sender != copy
                    && !(received.isFromKernel && keys.contains(signal))
                {
                    do throws(SystemError) { try send(signal, to: copy) } catch {
                        // It has just ended, or is another user's and this process may not.
                    }
                }
            }
        } catch { exitNow(111) }
    }

    /// Closes what this process shares with the copy, whose files and connections end with it alone; keeps one as
    /// descriptor 0.
    private static func closeAllButOne(_ number: Int32) {
        do throws(SystemError) { try redirect(Standard.input, to: number) } catch { exitNow(111) }
        do throws(SystemError) { try closeDescriptors(from: 1) } catch {
            // Linux before 5.9.
            for number in 1..<Int32(65536) { closeUnowned(number) }
        }
    }

    /// Ends as another process did, once all in the namespace has.
    private static func end(as status: ExitStatus, after reaper: ProcessID) -> Never {
        closeUnowned(Standard.input)
        do throws(SystemError) {
            _ = try reap(reaper, block: true)
            if let signal = status.signal {
                // It was the other that may have had something to show.
                try forbidInspection()
                // That of some cannot be changed, and has not been.
                do throws(SystemError) { try setDisposition(signal, ignored: false) } catch {}
                try send(signal, to: id)
                let none: SignalSet = []
                try none.block()
            }
        } catch { exitNow(status.shellCode) }
        // Process 1 of another namespace is not ended by signals.
        exitNow(status.shellCode)
    }

    /// Lets nobody without privilege look into this process, and leaves no core file. prctl(2) PR_SET_DUMPABLE.
    private static func forbidInspection() throws(SystemError) {
        _ = try Kernel.call("prctl") { cl_prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) }
    }
}

/// The process that goes on in a pid namespace where `pid` stands in for it outside, as far as /proc tells; else `pid`
/// itself.
public func processBehind(_ pid: ProcessID) -> ProcessID {
    do throws(SystemError) {
        let inner = try readLink("/proc/\(pid)/ns/pid_for_children")
        if try readLink("/proc/\(pid)/ns/pid") == inner { return pid }
        let children = try contents(of: "/proc/\(pid)/task/\(pid)/children", limit: 1 << 16)
        for word in children.split(separator: UInt8(ascii: " ")) {
            let child = ProcessID(truncatingIfNeeded: scanDecimal(word).value)
            let status = try contents(of: "/proc/\(child)/status", limit: 1 << 16)
            if try readLink("/proc/\(child)/ns/pid") == inner, isCopyAmongOwnProcesses(status) {
                return processBehind(child)
            }
        }
    } catch {}
    return pid
}

/// Whether the line `NSpid` of a /proc/PID/status ends in the number of the copy.
private func isCopyAmongOwnProcesses(_ status: [UInt8]) -> Bool {
    for line in status.split(separator: UInt8(ascii: "\n")) where line.begins(with: "NSpid:") {
        guard let last = line.split(separator: UInt8(ascii: "\t")).last else { return false }
        return scanDecimal(last).value == UInt(CurrentProcess.idAmongOwnProcesses)
    }
    return false
}
