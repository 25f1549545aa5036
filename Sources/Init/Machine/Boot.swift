import Bytes
import Commands
import Formats
import Linux
import Services

/// Brings a machine up, from what the kernel hands over to where services can be started. Nothing of it needs a shell,
/// and what fails is said and left out, as long as anything can be had without it.
struct Boot: ~Copyable {
    /// Where it leads.
    enum Outcome {
        /// Services may start, in this environment.
        case ready(Environment)
        /// The machine is to go down.
        case told(Ending)
    }

    private let messages: Messages
    private let notices: Notices
    private let services: ByteString
    private let commandLine: KernelCommandLine
    private var environment: Environment
    private var modules: ModuleLoader?
    private let times: StepTimes

    /// How long the scripts of /etc/apus/boot.d may take each, in milliseconds.
    private static let scriptLimit: UInt64 = 300_000
    private static let scripts: ByteString = "/etc/apus/boot.d"

    /// After /proc is mounted: what the kernel was told.
    static func commandLine(_ messages: Messages) -> KernelCommandLine {
        KernelCommandLine(SmallFiles.read("/proc/cmdline", messages) ?? [])
    }

    /// The mounts that everything else needs, and the console.
    static func begin(_ messages: Messages) {
        CurrentProcess.setUmask(0o022)
        SystemMounts(messages).perform()
        Console.open(messages)
    }

    init(
        _ commandLine: KernelCommandLine, services: ByteString, environment: Environment,
        notices: Notices,
        messages: Messages
    ) {
        self.messages = messages
        self.notices = notices
        self.commandLine = commandLine
        self.services = services
        self.environment = environment
        times = StepTimes(isWanted: commandLine.has("apus.trace"), messages)
        if environment["PATH"] == nil {
            self.environment.set(
                "PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
        }
    }

    /// Comes up as far as the kernel's command line says.
    mutating func perform() throws(SystemError) -> Outcome {
        times.note("process 1")
        let children = try BootChildren(notices, messages)
        limitResources()
        if commandLine.level == .emergency {
            if let ending = shell("emergency, as the kernel's command line says", children) {
                return .told(ending)
            }
        }
        modules = ModuleLoader(commandLine, messages)
        nameMachine()
        modules?.loadListed()
        modules?.loadForDevices(onlyFirst: true)
        times.note("modules")
        if let ending = leaveInitialRoot(children) { return .told(ending) }
        if let ending = mountFileSystems(children) { return .told(ending) }
        times.note("file systems")
        applySettings()
        RandomSeed.restore(messages, mayCount: commandLine["apus.random-seed"] == "credit")
        times.note("settings and random seed")
        Network(commandLine, messages).perform()
        times.note("network")
        LoginRecords.noteBoot(messages)
        notices.listen()
        if commandLine.level == .single {
            if let ending = shell("single user, as the kernel's command line says", children) {
                return .told(ending)
            }
        }
        // Only now: people may have made the root file system writable from a shell.
        MemoryOverDisk(messages).perform(services, &modules)
        if let ending = runScripts(children) { return .told(ending) }
        Terminals.perform(services, messages)
        if let reason = reasonForNothing, let ending = shell(reason, children) {
            return .told(ending)
        }
        times.note("everything before the services")
        return .ready(environment)
    }

    /// After a fault of this process somewhere in all that: nothing of it is tried again, and people may see to it.
    mutating func performAfterFault() throws(SystemError) -> Outcome {
        let children = try BootChildren(notices, messages)
        limitResources()
        if let ending = shell("process 1 met a fault while the machine came up", children) {
            return .told(ending)
        }
        return .ready(environment)
    }

    /// As many descriptors as servers want; a program asks for its share of them by raising its soft limit.
    private func limitResources() {
        do throws(SystemError) {
            let hard: UInt64 = 1 << 19
            try Resource.openFiles.setLimits(ResourceLimits(soft: 1024, hard: hard))
            try Machine.setRestartsByKeys(false)
        } catch { messages.warning("unable to \(error.call)", error.errno) }
    }

    private func nameMachine() {
        let name =
            commandLine.hostName ?? SmallFiles.read("/etc/hostname", messages).flatMap {
                HostName.inFile($0)
            }
            ?? Network.hostName(commandLine)
        guard let name else { return }
        do throws(SystemError) { try Machine.setHostName(name) } catch {
            messages.warning("unable to name the machine \(name)", error.errno)
        }
    }

    /// Loads the modules that nothing has waited for, the power button's among them, in a process beside the services.
    consuming func finishBesides() {
        do throws(SystemError) {
            guard case .child = try forkProcess() else { return }
        } catch { return loadTheRest() }
        do throws(SystemError) {
            try CurrentProcess.startSession()
            try CurrentProcess.setName("modules")
            try SignalSet().block()
            try CurrentProcess.setNice(19)
        } catch { messages.warning("unable to \(error.call)", error.errno) }
        modules?.loadForDevices()
        modules?.load("evdev")
        times.note("modules that nobody waited for")
        // By which process 1 looks for buttons.
        do throws(SystemError) { try send(.user1, to: 1) } catch {}
        exitNow(0)
    }

    private mutating func loadTheRest() {
        modules?.loadForDevices()
        modules?.load("evdev")
        notices.listen()
    }

    private mutating func leaveInitialRoot(_ children: borrowing BootChildren) -> Ending? {
        do throws(SystemError) {
            guard let root = commandLine["root"], !root.isEmpty, try isRootInMemory() else {
                return nil
            }
            modules?.loadForDevices()
            let reason = SwitchRoot(commandLine, messages).perform(root, &modules, environment)
            return shell("no root file system: \(reason)", children)
        } catch {
            messages.warning("unable to tell what the root directory is on", error.errno)
            return nil
        }
    }

    private mutating func mountFileSystems(_ children: borrowing BootChildren) -> Ending? {
        let fileSystems = FileSystems(commandLine, environment, messages)
        if let ending = answer(fileSystems.prepareRoot(children), children) { return ending }
        if let ending = answer(fileSystems.mountAll(&modules, children), children) { return ending }
        if commandLine["apus.tmp"] != "disk" { SystemMounts(messages).mountTemporary() }
        return nil
    }

    private mutating func answer(
        _ outcome: FileSystems.Outcome, _ children: borrowing BootChildren
    ) -> Ending? {
        switch outcome {
        case .done: nil
        case .told(let ending): ending
        case .failed(let reason): shell(reason, children)
        }
    }

    /// What sysctl.d(5) and /etc/sysctl.conf say; the last of several lines for one setting holds.
    private func applySettings() {
        for path in SmallFiles.configuration("sysctl.d") + ["/etc/sysctl.conf"] {
            let (settings, wrong) = KernelSetting.all(in: SmallFiles.read(path, messages) ?? [])
            for line in wrong { messages.warning("\(path): line \(line) sets nothing") }
            for setting in settings {
                do throws(SystemError) {
                    try SmallFiles.write(setting.value, to: "/proc/sys/\(setting.path)")
                } catch {
                    if setting.mayFail || error.errno == .noEntry { continue }
                    messages.warning(
                        "\(path): line \(setting.line): unable to set \(setting.path.excerpt)",
                        error.errno)
                }
            }
        }
    }

    private func runScripts(_ children: borrowing BootChildren) -> Ending? {
        for name in SmallFiles.list(Boot.scripts) {
            let path: ByteString = "\(Boot.scripts)/\(name)"
            switch children.run(
                Invocation(command: [path], environment: environment), limit: Boot.scriptLimit)
            {
            case .told(let ending): return ending
            case .late: messages.warning("\(path) takes long, and goes on beside the services")
            case .ended(let status):
                if status.shellCode != 0 {
                    messages.warning("\(path) ended with \(status.shellCode)")
                }
            case .failed: break
            }
        }
        return nil
    }

    /// Why nothing will run; nil if something will.
    private var reasonForNothing: ByteString? {
        do throws(SystemError) {
            let names = try entries(of: services).filter { !$0.hasPrefix(".") }
            return names.isEmpty ? "there is no service in \(services)" : nil
        } catch { return "unable to read \(services): \(ByteString(error.errno.text))" }
    }

    /// A shell on the console, after the reason for it. sulogin(8) asks for root's password where there is one.
    private mutating func shell(_ reason: ByteString, _ children: borrowing BootChildren) -> Ending?
    {
        // People may want any device, and may press any button.
        loadTheRest()
        messages.line(
            "\(reason); here is a shell, and when it ends the machine comes up as far as it can")
        var environment = environment
        environment.set("HOME", "/root")
        for command in [["sulogin", "--force"], ["sh"]] as [[ByteString]] {
            switch children.runOnConsole(Invocation(command: command, environment: environment)) {
            case .told(let ending): return ending
            // What could not be executed.
            case .ended(let status) where status.exitCode == 111: continue
            default: return nil
            }
        }
        messages.warning("there is no shell")
        return nil
    }
}
