import Bytes
import Commands
import Linux
import Services

/// Starts services and the main command without ever waiting for a file system.
final class Starters {
    /// As many children may be on their way to become programs at a time; each borrows a few KiB.
    private static let most = 8
    /// What they have to know besides: three descriptors.
    private static let room = 64
    /// What those have to know that are told more: as many descriptors as can be named.
    private static let largeRoom = HeldDescriptors.most * 4

    private let run: ProgramStarter
    private let command: ProgramStarter?
    /// Starts whatever is not just `run`.
    private lazy var others = ProgramStarter(
        PreparedProgram(Invocation("./run", arguments: ["./run"], environment: Environment())),
        count: Starters.most, room: Starters.largeRoom)
    /// A logger that is a file of its service's directory.
    let logFile: PreparedProgram
    private var hasOthers = false
    private let messages: Messages
    /// How soon the kernel kills this process when memory runs out; nil where that stays as it is.
    var score: OwnMemoryScore?
    /// Where the ids of processes are noted before they run.
    var carryover: Carryover?
    private let null: Descriptor?
    private let lent: LentDescriptors?
    /// What the limit on descriptors was before this process raised it; nil when it did not.
    private let inheritedLimit: (soft: UInt64, hard: UInt64)?

    init(
        _ configuration: Supervisor.Configuration, _ messages: Messages,
        _ descriptorLimit: (soft: UInt64, hard: UInt64)
    ) throws(SystemError) {
        self.messages = messages
        inheritedLimit = descriptorLimit.soft < descriptorLimit.hard ? descriptorLimit : nil
        let environment = configuration.environment.withoutSupervisor
        run = ProgramStarter(
            PreparedProgram(
                Invocation("./run", arguments: ["./run"], environment: environment)),
            count: Starters.most, room: Starters.room)
        logFile = PreparedProgram(
            Invocation("./log", arguments: ["./log"], environment: environment))
        command = configuration.command.map {
            ProgramStarter(PreparedProgram($0), count: 1, room: Starters.room)
        }
        null = configuration.nullInput ? try Starters.openNull() : nil
        // Only what is open by now costs a child anything.
        do throws(SystemError) { lent = try LentDescriptors() } catch { lent = nil }
    }

    /// What services read from: nothing. Where there is no /dev/null, a pipe without a writer.
    private static func openNull() throws(SystemError) -> Descriptor {
        do throws(SystemError) { return try openFile("/dev/null", .readWrite) } catch {
            let pipe = try Pipe()
            return pipe.reader
        }
    }

    /// The number of that descriptor; -1 when services read what this process would.
    var nullInput: Int32 {
        switch null {
        case .some(let null): null.number
        case .none: -1
        }
    }

    /// Starts a program of that standing; nil when too many are on their way. Whatever `setup` says, the child gets back
    /// what this process changed for itself: the limit on descriptors, blocked and ignored signals.
    func start(_ standing: Standing, _ setup: ChildSetup) throws(SystemError) -> ProcessID? {
        try start(by: starter(of: standing), nil, setup)
    }

    /// Starts another program than that standing's own, with more than three descriptors perhaps.
    func start(_ program: PreparedProgram, _ setup: ChildSetup) throws(SystemError) -> ProcessID? {
        hasOthers = true
        return try start(by: others, program, setup)
    }

    private func start(
        by starter: ProgramStarter?, _ program: PreparedProgram?, _ setup: ChildSetup
    ) throws(SystemError) -> ProcessID? {
        try score?.restore()
        var setup = setup
        setup.descriptorLimit = inheritedLimit
        setup.defaultSignals = .all
        switch lent {
        case .some(let lent):
            lent.lend(&setup)
            defer { takeBack() }
            return try starter?.startWithoutWaiting(
                setup, instead: program, noting: carryover?.expectStart())
        case .none:
            return try starter?.startWithoutWaiting(
                setup, instead: program, noting: carryover?.expectStart())
        }
    }

    /// Whether a child is on its way to its program.
    var isBusy: Bool { run.isBusy || command?.isBusy == true || hasOthers && others.isBusy }

    private func takeBack() {
        switch lent {
        case .some(let lent):
            do throws(SystemError) { try lent.takeBack() } catch {
                messages.warning("unable to take back a descriptor", error.errno)
            }
        case .none: break
        }
    }

    private func starter(of standing: Standing) -> ProgramStarter? {
        standing == .command ? command : run
    }

    /// Why the child `pid`, which has ended, did not become its program; nil if it did. To be asked once of every
    /// child.
    func failure(of pid: ProcessID) -> Errno? {
        run.failure(of: pid) ?? command?.failure(of: pid) ?? others.failure(of: pid)
    }
}

extension Environment {
    /// Without what this process was told by its own supervisor, which is not meant for its services.
    var withoutSupervisor: Environment {
        var environment = self
        for name in [
            "NOTIFY_SOCKET", "WATCHDOG_PID", "WATCHDOG_USEC", "LISTEN_PID", "LISTEN_FDS",
            "LISTEN_FDNAMES",
        ] as [ByteString] {
            environment.unset(name)
        }
        return environment
    }
}
