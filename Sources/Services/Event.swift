import Bytes
import Formats

/// Why something could not be done.
public struct Complaint: Hashable, Sendable {
    /// What could not be done, without the program's name.
    public let text: ByteString
    /// The cause, as errno; 0 when there is none.
    public let errno: Int32

    /// A complaint with its cause.
    public init(_ text: ByteString, errno: Int32 = 0) {
        self.text = text
        self.errno = errno
    }

    /// Whether it need not be said after `other`: which step lacks a descriptor differs from time to time.
    func isSameTrouble(as other: Complaint) -> Bool {
        self == other || errno == other.errno && errno == Complaint.tooManyDescriptors
    }

    /// EMFILE.
    private static let tooManyDescriptors: Int32 = 24
}

/// What the scan directory holds at one moment. Plain files, and names that begin with a dot, are left out.
public struct Listing: Equatable, Sendable {
    /// One name.
    public struct Entry: Equatable, Sendable {
        /// The name.
        public let name: ByteString
        /// What it names.
        public let content: Content

        /// A name and what it names.
        public init(name: ByteString, content: Content) {
            self.name = name
            self.content = content
        }
    }

    /// What a name names.
    public enum Content: Equatable, Sendable {
        /// A directory. `isWhole` when it came by a link or a rename, so that nobody is still filling it.
        case directory(FileID, isWhole: Bool)
        /// A link to something else, which may become a directory without anything being changed here.
        case undecided
        /// Nobody knows.
        case unknown(Complaint)
    }

    /// Which directory was listed.
    public let directory: FileID
    /// What it holds, in the kernel's order.
    public let entries: [Entry]
    /// How many nanoseconds of processor time the listing took.
    public let cost: UInt64
    /// Whether every change to the directory will be reported.
    public let isWatched: Bool

    /// What a directory holds.
    public init(directory: FileID, entries: [Entry], cost: UInt64, isWatched: Bool) {
        self.directory = directory
        self.entries = entries
        self.cost = cost
        self.isWatched = isWatched
    }
}

/// What is asked for when everything is to be stopped.
public enum Ending: UInt8, CaseIterable, Sendable {
    /// This process ends.
    case exit
    /// The machine halts.
    case halt
    /// The machine is switched off.
    case powerOff
    /// The machine starts anew.
    case reboot
    /// The machine starts the kernel that has been loaded for that.
    case kexec
}

/// What happens, in the terms of supervision. The second half are the outcomes of actions, which come before any
/// other event.
public enum Event: Equatable, Sendable {
    /// Supervision begins.
    case began
    /// A control FIFO brought a command.
    case commanded(ServiceID, Command)
    /// The same, with signals for the whole process group.
    case groupCommanded(ServiceID, Command)
    /// A child ended and was reaped.
    case died(pid: Int32, Death)
    /// A wait found that there are no children.
    case noChildrenLeft
    /// Something in the scan directory, or its name, has changed.
    case directoryChanged
    /// Somebody asks to look at the scan directory now (SIGHUP).
    case rescanAsked
    /// Somebody asks to stop everything; the main command gets `signal`. Asked again, it hurries.
    case stopAsked(Ending, signal: ServiceSignal)
    /// A signal came for the main command.
    case forwarded(ServiceSignal)
    /// The deadline has come, or may have.
    case timePassed

    /// The scan directory has been read.
    case listed(Listing)
    /// The scan directory is not there, or cannot be read.
    case notListed(Complaint)
    /// What a directory that may still be filled looks like: a number that differs when anything in it differs, and
    /// whether there is a `run`.
    case inspected(PairID, signature: UInt64, hasRun: Bool)
    /// An entry is the directory that it was, and has this `log`, or has none.
    case examined(PairID, log: FileID?)
    /// An entry cannot be looked at, or is another directory by now.
    case notExamined(PairID, Complaint?)
    /// The pipe is there.
    case piped(PairID)
    /// There is no pipe.
    case notPiped(PairID, Complaint)
    /// A service directory is locked, and its control FIFO open. `isDown` when it has a file `down`; the definition is
    /// nil when it asks for nothing but `run`.
    indirect case opened(ServiceID, isDown: Bool, ServiceDefinition? = nil)
    /// A service directory cannot be supervised.
    case notOpened(ServiceID, Complaint)
    /// A process has been started.
    case started(ServiceID, pid: Int32)
    /// A process of an earlier supervisor's was found, which runs since then: it is this one's from now on.
    case adopted(ServiceID, pid: Int32, since: TAI64N, isReady: Bool)
    /// What the directory of a service asks for, read again.
    indirect case defined(ServiceID, ServiceDefinition?)
    /// The same, found just before a start, which waits for it.
    indirect case redefined(ServiceID, ServiceDefinition?)
    /// A service says, or was found, to be ready.
    case ready(ServiceID)
    /// A service says something else of itself.
    case said(ServiceID, ServiceNotice)
    /// Somebody connects, or sends, to a service that waits for that; or its sockets cannot be opened, which its start will
    /// tell.
    case connected(ServiceID)
    /// The kernel refused a process.
    case refused(ServiceID, errno: Int32)
    /// What the process was to be given cannot be had.
    case notPrepared(ServiceID, Complaint)
    /// Too many children are on their way to become programs.
    case congested(ServiceID)
    /// What came of a program beside a service.
    case accompanied(ServiceID, CompanionOutcome)
    /// The service or logger was not started: its name leads to another directory by now.
    case displaced(ServiceID)
    /// The service was not started: its directory has a `log` now.
    case loggerAppeared(ServiceID)
}

/// What a service says of itself besides that it is ready. sd_notify(3).
public enum ServiceNotice: Equatable, Sendable {
    /// It reads its configuration again, and will say that it is ready.
    case reloading
    /// It is ending.
    case stopping
    /// It still lives.
    case pinged
    /// It has found that something is wrong with itself, and wants to be ended as if it had not pinged.
    case troubled
    /// Its failures so far are to be forgotten.
    case forgiven
    /// From now on it pings at least so often, in nanoseconds.
    case watchdogPeriod(UInt64)
    /// It needs so many nanoseconds more for what it is doing.
    case extended(UInt64)
    /// This is its main process now.
    case mainProcess(Int32)
    /// What it is doing, in its own words.
    case status(ByteString)
}
