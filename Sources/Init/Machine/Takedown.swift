import Bytes
import Commands
import Formats
import Linux
import Services

/// The end of a machine, once its services have been stopped: nothing is lost that was written, and nothing that hangs
/// can keep it from ending.
struct Takedown {
    private let messages: Messages
    private let ending: Machine.Ending
    private let times: StepTimes
    /// After so many milliseconds the machine ends whatever is not done.
    static let limit: UInt64 = 20_000
    /// How long processes may take to be gone once they are killed.
    private static let patience: UInt64 = 3000

    /// What the kernel itself needs, and has nothing to lose.
    private static let kept: [ByteString] = ["/proc", "/sys", "/dev"]

    init(_ ending: Machine.Ending, _ messages: Messages, _ times: StepTimes) {
        self.ending = ending
        self.times = times
        self.messages = messages
    }

    /// Ends the machine.
    func perform() -> Never {
        // Nothing reaches this process any more.
        times.note("services are down")
        do throws(SystemError) {
            try SignalSet.all.block()
            try Machine.endOnFault(ending)
        } catch { messages.warning("unable to \(error.call)", error.errno) }
        do throws(SystemError) { try changeDirectory("/") } catch {}
        killAll()
        times.note("no process is left")
        closeFiles()
        if !isTakenDownInTime() { saveTheRest() }
        end()
    }

    private func killAll() {
        do throws(SystemError) { try send(.kill, to: -1) } catch {}
        if wait(milliseconds: Takedown.patience) == nil {
            messages.warning("some processes do not end even when they are killed")
        }
    }

    /// Waits until a child has ended, or all have. Returns how the last one did; nil when it takes too long.
    @discardableResult
    private func wait(for pid: ProcessID = -1, milliseconds: UInt64) -> ExitStatus? {
        let deadline = Instant.now.advanced(milliseconds: milliseconds)
        var last = ExitStatus(raw: 0)
        while Instant.now < deadline {
            do throws(SystemError) {
                switch try reap(pid) {
                case .noChildren: return last
                case .nothingYet: Linux.pause(until: Instant.now.advanced(milliseconds: 2))
                case .ended(_, let status): last = status
                case .resumed: break
                }
            } catch { return last }
        }
        return nil
    }

    /// Has a process of its own do what may wait for a device or a server that is gone, so that this one is free to end
    /// the machine. Whether all of it was done.
    private func isTakenDownInTime() -> Bool {
        do throws(SystemError) {
            guard case .parent(let pid) = try forkProcess() else {
                takeDown()
                exitNow(0)
            }
            let status = wait(for: pid, milliseconds: Takedown.limit)
            if status?.shellCode == 0 { return true }
            messages.warning(
                status == nil
                    ? "the machine does not come down in time, and ends now"
                    : "the process that takes the machine down has failed: the machine ends now")
            return false
        } catch {
            messages.warning("unable to \(error.call): nothing limits what follows", error.errno)
            takeDown()
            return true
        }
    }

    private func takeDown() {
        LoginRecords.noteShutdown(messages)
        RandomSeed.save(messages)
        stopSwappingAnywhere()
        times.note("records and random seed")
        unmountAll()
        Machine.synchronize()
        times.note("file systems")
    }

    /// A file system that hangs keeps process 1 from those that do not: each is written to its disk and made read-only
    /// by a process of its own.
    private func saveTheRest() {
        for target in Set(table.writable.map { $0.target } + ["/"]) {
            do throws(SystemError) {
                guard case .child = try forkProcess() else { continue }
                makeReadOnly(target)
                exitNow(0)
            } catch {}
        }
        wait(milliseconds: Takedown.patience)
        if table["/"]?.isFileSystemReadOnly == false { forceReadOnly() }
    }

    /// What this process had open keeps a file system busy.
    private func closeFiles() {
        do throws(SystemError) { try closeDescriptors(from: 3) } catch {}
    }

    private func stopSwappingAnywhere() {
        guard let text = SmallFiles.read("/proc/swaps", messages) else { return }
        for area in SwapTable.areas(in: text) {
            do throws(SystemError) { try stopSwapping(to: area) } catch {
                messages.warning("unable to stop swapping to \(area)", error.errno)
            }
        }
    }

    /// What is mounted last goes first, again and again while something goes: mounts may hold each other. What does not
    /// go is made read-only, and in the end the root.
    private func unmountAll() {
        while unmountOnce() {}
        for target in table.takenDown(keeping: Takedown.kept).map({ $0.target }) + ["/"] {
            makeReadOnly(target)
        }
        guard !table.writable.isEmpty else { return }
        // A program that was replaced while it ran, this one perhaps, still has a file without a name, which forbids it.
        forceReadOnly()
        for mount in table.writable { messages.warning("unable to make \(mount.target) read-only") }
    }

    private var table: MountTable {
        MountTable(SmallFiles.read("/proc/self/mountinfo", messages) ?? [])
    }

    private func unmountOnce() -> Bool {
        var isAny = false
        for mount in table.takenDown(keeping: Takedown.kept) {
            do throws(SystemError) {
                try unmount(mount.target)
                isAny = true
            } catch {}
        }
        return isAny
    }

    private func makeReadOnly(_ target: ByteString) {
        let flags: MountOptions.Flags = [.remount, .readOnly]
        do throws(SystemError) { try mount("", on: target, flags: flags.rawValue) } catch {}
    }

    /// Has the kernel make everything read-only, whoever has what open. It does so on its own time.
    private func forceReadOnly() {
        do throws(SystemError) { try SmallFiles.write("u", to: "/proc/sysrq-trigger") } catch {
            return
        }
        let deadline = Instant.now.advanced(milliseconds: 5000)
        while !table.writable.isEmpty, Instant.now < deadline {
            Linux.pause(until: Instant.now.advanced(milliseconds: 20))
        }
    }

    private func end() -> Never {
        for ending in [ending, .reboot, .halt] {
            do throws(SystemError) { try Machine.end(ending) } catch {
                messages.warning("unable to end the machine as asked", error.errno)
            }
        }
        // Nothing is left to do, and to exit would be a panic.
        while true { Linux.pause(seconds: 3600) }
    }
}

extension Machine.Ending {
    /// What an ending of the services means for the machine. To exit is nothing that a machine can do. Whoever has loaded
    /// a kernel wants that one next, as after systemd's and sysvinit's reboot.
    init(_ ending: Ending, powerOffBy substitute: ByteString?, isKernelLoaded: Bool = false) {
        switch ending {
        case .halt: self = .halt
        case .reboot: self = isKernelLoaded ? .kexec : .reboot
        case .kexec: self = .kexec
        case .powerOff, .exit:
            // Some monitors end with a machine that restarts, and know no other end.
            switch substitute {
            case "reboot": self = .reboot
            case "halt": self = .halt
            default: self = .powerOff
            }
        }
    }
}
