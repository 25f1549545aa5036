import Bytes
import Commands
import Linux

/// One command of the binary.
struct Program: Sendable {
    /// The name it is called by.
    let name: StaticString
    /// What it does, in one line, for the list of programs.
    let summary: StaticString
    /// Does it.
    let run: @Sendable (Call) throws(Failure) -> Outcome
    /// Whether it changes something and becomes another at once, as a link of a chain.
    let isStage: Bool
    /// Whether it takes long options, `--version` among them.
    let hasLongOptions: Bool

    init(
        _ name: StaticString, _ summary: StaticString, longOptions: Bool = false,
        _ run: @escaping @Sendable (Call) throws(Failure) -> Outcome
    ) {
        self.name = name
        self.summary = summary
        self.run = run
        isStage = false
        hasLongOptions = longOptions
    }

    /// A program that is a link of a chain.
    init(
        stage name: StaticString, _ summary: StaticString, longOptions: Bool = false,
        _ run: @escaping @Sendable (Call) throws(Failure) -> Outcome
    ) {
        self.name = name
        self.summary = summary
        self.run = run
        isStage = true
        hasLongOptions = longOptions
    }

    /// Does what it is for, or prints its version if that is the first thing it is asked.
    func perform(_ call: Call) throws(Failure) -> Outcome {
        // A link of a chain leaves nothing behind.
        if !isStage { do throws(SystemError) { try tellOfFaults() } catch {} }
        guard hasLongOptions, call.operand(1, else: "") == "--version" else { return try run(call) }
        try writeOutput(Array(ByteString("\(name) (apus) \(version)\n").bytes))
        return .exit(0)
    }

    /// The binary under its own name.
    static let apus = Program("apus", "list or install the programs", apus(_:))

    /// The program called `name`, if the binary has it.
    static func named(_ name: ByteString) -> Program? {
        all.indices.first { name.isSpelled(all[$0].name) }.map { all[$0] }
    }

    /// Every program, in the order in which they are listed.
    static let all: InlineArray<_, Program> = [
        Program("addcr", "put a CR before every line feed", addcr),
        Program(stage: "argv0", "run a program under another name", argv0),
        Program("catatonit", "run one command as catatonit does", catatonit),
        Program(stage: "cd", "run a program in a directory", cd),
        Program(stage: "chain", "run the command in a file, without a shell", chain),
        Program(stage: "chpst", "run a program with a changed process state", chpst),
        Program("date@", "show a host's time", dateAt),
        Program("delcr", "take the CR out before every line feed", delcr),
        Program("docker-init", "run one command as tini does", tini),
        Program("dumb-init", "run one command as dumb-init does", dumbInit),
        Program(stage: "envdir", "run a program with variables from a directory", envdir),
        Program(
            stage: "envuidgid", "run a program with an account's ids in UID and GID",
            longOptions: true,
            envuidgid),
        Program("fghack", "run a daemon that puts itself in the background", fghack),
        Program("finger@", "show what a finger server says", fingerAt),
        Program("finish-exec", "end finish files of Debian's packages", finishExec),
        Program("fixcrio", "run a program with CR LF on its input and output", fixcrio),
        Program("halt", "stop the machine, with the power on", longOptions: true, halt),
        Program("http@", "show a page of a web server", httpAt),
        Program(
            "init", "process 1: services, orphans, a main command", longOptions: true, initialize),
        Program("invoke-run", "interpret run files of Debian's packages", invokeRun),
        Program("mconnect", "talk to a mail server", mconnect),
        Program("mconnect-io", "pass lines to and from a mail server", mconnectIO),
        Program(stage: "mkdirs", "make a directory and run a program", mkdirs),
        Program("multilog", "log lines to rotated directories", longOptions: true, multilog),
        Program(stage: "pgrphack", "run a program in a session of its own", pgrphack),
        Program("poweroff", "stop the machine and switch it off", longOptions: true, poweroff),
        Program("rblsmtpd", "refuse mail from clients that lists warn of", rblsmtpd),
        Program("readproctitle", "show what is read in the process title", readproctitle),
        Program("reboot", "stop the machine and start it again", longOptions: true, reboot),
        Program("recordio", "show what a program reads and writes", recordio),
        Program(stage: "redirect", "run a program with descriptors changed", redirect),
        Program("runsv", "supervise a service and its logger as runit does", runsv),
        Program("runsvdir", "supervise the services of a directory as runit does", runsvdir),
        Program(
            stage: "seccomp", "run a program with system calls forbidden", longOptions: true,
            seccomp),
        Program(
            "seccomprules", "compile or explain a policy of system calls", longOptions: true,
            seccomprules),
        Program(
            stage: "setcaps", "run a program with fewer capabilities", longOptions: true, setcaps),
        Program(stage: "setlock", "run a program with a file locked", setlock),
        Program(stage: "setuidgid", "run a program as an account", longOptions: true, setuidgid),
        Program("shutdown", "stop the machine now or later", longOptions: true, shutdown),
        Program(
            stage: "softlimit", "run a program with soft resource limits", longOptions: true,
            softlimit),
        Program("supervise", "supervise a service", supervise),
        Program("sv", "control services as runit does", sv),
        Program("svc", "control supervised services", longOptions: true, svc),
        Program("svcheck", "check service directories", longOptions: true, svcheck),
        Program("svlogd", "log lines to rotated directories as runit does", svlogd),
        Program("svls", "list services, and how they are confined", longOptions: true, svls),
        Program("svok", "tell whether a service is supervised", svok),
        Program(
            "svoutput", "put a service's name before each of its lines", longOptions: true,
            svoutput),
        Program("svscan", "supervise the services of a directory", svscan),
        Program("svscanboot", "start svscan, with its errors in a process title", svscanboot),
        Program("svscanctl", "tell svscan or init to look again, or to stop", svscanctl),
        Program("svstat", "print the state of services", svstat),
        Program("svwait", "wait until services are up, ready or down", svwait),
        Program("tai64n", "stamp each line with the time", tai64n),
        Program("tai64nlocal", "turn stamps into local time", tai64nlocal),
        Program("tcpcat", "print what a server sends", tcpcat),
        Program("tcpclient", "connect to a server and run a program", tcpclient),
        Program("tcprules", "compile access rules", tcprules),
        Program("tcprulescheck", "show which access rule applies", tcprulescheck),
        Program(
            "tcpserver", "accept connections and start a program for each", longOptions: true,
            tcpserver),
        Program("telinit", "change the runlevel", telinit),
        Program("tini", "run one command as tini does", tini),
        Program("tini-static", "run one command as tini does", tini),
        Program("utmpset", "note that the user of a terminal has left", utmpset),
        Program("who@", "show who is on a host", whoAt),
        Program(
            stage: "with-contenv", "run a program with the container's environment", withContenv),
    ]
}
