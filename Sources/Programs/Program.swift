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

    init(
        _ name: StaticString, _ summary: StaticString,
        _ run: @escaping @Sendable (Call) throws(Failure) -> Outcome
    ) {
        self.name = name
        self.summary = summary
        self.run = run
        isStage = false
    }

    /// A program that is a link of a chain.
    init(
        stage name: StaticString, _ summary: StaticString,
        _ run: @escaping @Sendable (Call) throws(Failure) -> Outcome
    ) {
        self.name = name
        self.summary = summary
        self.run = run
        isStage = true
    }

    /// The program called `name`, if the binary has it.
    static func named(_ name: ByteString) -> Program? {
        all.indices.first { name.isSpelled(all[$0].name) }.map { all[$0] }
    }

    /// Every program, in the order in which they are listed.
    static let all: InlineArray<_, Program> = [
        Program("addcr", "put a CR before every line feed", addcr),
        Program(stage: "argv0", "run a program under another name", argv0),
        Program("date@", "show a host's time", dateAt),
        Program("delcr", "take the CR out before every line feed", delcr),
        Program(stage: "envdir", "run a program with variables from a directory", envdir),
        Program(
            stage: "envuidgid", "run a program with an account's ids in UID and GID", envuidgid),
        Program("fghack", "run a daemon that puts itself in the background", fghack),
        Program("finger@", "show what a finger server says", fingerAt),
        Program("fixcrio", "run a program with CR LF on its input and output", fixcrio),
        Program("http@", "show a page of a web server", httpAt),
        Program("init", "process 1: services, orphans, a main command", initialize),
        Program("mconnect", "talk to a mail server", mconnect),
        Program("mconnect-io", "pass lines to and from a mail server", mconnectIO),
        Program("multilog", "log lines to rotated directories", multilog),
        Program(stage: "pgrphack", "run a program in a session of its own", pgrphack),
        Program("rblsmtpd", "refuse mail from clients that lists warn of", rblsmtpd),
        Program("readproctitle", "show what is read in the process title", readproctitle),
        Program("recordio", "show what a program reads and writes", recordio),
        Program(stage: "seccomp", "run a program with system calls forbidden", seccomp),
        Program("seccomprules", "compile or explain a policy of system calls", seccomprules),
        Program(stage: "setcaps", "run a program with fewer capabilities", setcaps),
        Program(stage: "setlock", "run a program with a file locked", setlock),
        Program(stage: "setuidgid", "run a program as an account", setuidgid),
        Program(stage: "softlimit", "run a program with soft resource limits", softlimit),
        Program("supervise", "supervise a service", supervise),
        Program("svc", "control supervised services", svc),
        Program("svls", "list services, and how they are confined", svls),
        Program("svok", "tell whether a service is supervised", svok),
        Program("svscan", "supervise the services of a directory", svscan),
        Program("svscanboot", "start svscan, with its errors in a process title", svscanboot),
        Program("svstat", "print the state of services", svstat),
        Program("tai64n", "stamp each line with the time", tai64n),
        Program("tai64nlocal", "turn stamps into local time", tai64nlocal),
        Program("tcpcat", "print what a server sends", tcpcat),
        Program("tcpclient", "connect to a server and run a program", tcpclient),
        Program("tcprules", "compile access rules", tcprules),
        Program("tcprulescheck", "show which access rule applies", tcprulescheck),
        Program("tcpserver", "accept connections and start a program for each", tcpserver),
        Program("who@", "show who is on a host", whoAt),
    ]
}
