import Bytes
import CLinux

/// A program to run: what to look for, what to tell it. Finding it follows daemontools' pathexec:
/// with a slash the name is the path; else each directory of PATH is tried, an empty one being the
/// current directory, and there is no shell for a file without an interpreter line.
public struct Invocation: Sendable {
    /// The program as the user wrote it.
    public let program: ByteString
    /// What it is given, argument zero first.
    public let arguments: [ByteString]
    /// Its environment.
    public var environment: Environment
    /// The directories to look in; the *caller's* PATH, not the new environment's.
    private let searchPath: ByteString
    /// Whether the kernel's part of an exec is wanted, so that the program may not be called in this
    /// process even if this process could.
    public private(set) var mustExec = false
    /// Whether nobody is told when the program cannot be run.
    public var failsQuietly = false
    /// What people are told before the program's name when it cannot be run.
    public var complaint: ByteString = "unable to run "
    private var ready: PreparedInvocation?

    /// A program with its arguments, looked up in the PATH of `search`.
    public init(
        _ program: ByteString, arguments: [ByteString], environment: Environment,
        search: Environment? = nil
    ) {
        self.program = program
        self.arguments = arguments
        self.environment = environment
        searchPath = (search ?? environment)["PATH"] ?? "/bin:/usr/bin"
    }

    /// A command line: the program is its first word, which must be there.
    public init(
        command: some Collection<ByteString>, environment: Environment, search: Environment? = nil
    ) {
        let words = Array(command)
        self.init(words[0], arguments: words, environment: environment, search: search)
    }

    /// The paths to try, in order.
    public var candidates: [ByteString] {
        var all: [ByteString] = []
        _ = firstCandidate { path -> Void? in
            all.append(path)
            return nil
        }
        return all
    }

    /// Calls `body` with the paths to try, in order, until it returns something.
    package func firstCandidate<Result>(_ body: (ByteString) -> Result?) -> Result? {
        if program.contains(UInt8(ascii: "/")) { return body(program) }
        var rest = searchPath.bytes
        while true {
            let end = rest.firstIndex(of: UInt8(ascii: ":")) ?? rest.endIndex
            let directory = rest[..<end]
            let path: ByteString =
                directory.isEmpty ? "./\(program)" : "\(ByteString(directory))/\(program)"
            if let result = body(path) { return result }
            if end == rest.endIndex { return nil }
            rest = rest[(end + 1)...]
        }
    }

    /// Replaces this process. Returns only by throwing. execve(2).
    public func execute() throws(SystemError) -> Never {
        _ = try Kernel.call("execve", program, retry: false) { () -> Int32 in
            prepared.withCVectors { cl_exec($0, $1, $2) }
        }
        fatalError("execve succeeded and returned")
    }

    /// Insists on an exec: credentials have changed in a way that only an exec completes.
    public mutating func requireExec() { mustExec = true }

    /// Makes everything ready for an exec, which then takes no memory: for a process about to limit
    /// its own.
    public mutating func prepareExec() {
        mustExec = true
        ready = PreparedInvocation(self)
    }

    /// What the kernel counts for arguments and environment, in bytes.
    package var size: Int {
        arguments.reduce(environment.size) { $0 + $1.count + 1 + MemoryLayout<Int>.size }
    }

    /// The same, ready for the kernel.
    var prepared: PreparedInvocation { ready ?? PreparedInvocation(self) }
}

/// An invocation laid out in memory as the kernel takes it, for a program that is started often.
public struct PreparedInvocation: Sendable {
    /// The program as the user wrote it.
    public let program: ByteString
    /// The paths to try, in order.
    let candidates: CVector
    /// Its arguments, argument zero first.
    let arguments: CVector
    /// Its environment.
    let environment: CVector

    /// Lays out `invocation`.
    public init(_ invocation: Invocation) {
        program = invocation.program
        candidates = CVector(invocation.candidates)
        arguments = CVector(invocation.arguments)
        environment = invocation.environment.vector
    }

    /// Calls `body` with the candidates, arguments and environment, valid during the call.
    func withCVectors<Result>(
        _ body: (
            UnsafePointer<UnsafePointer<CChar>?>, UnsafePointer<UnsafeMutablePointer<CChar>?>,
            UnsafePointer<UnsafeMutablePointer<CChar>?>
        ) -> Result
    ) -> Result {
        withExtendedLifetime(self) {
            body(candidates.constantPointer, arguments.pointer, environment.pointer)
        }
    }
}

/// A C string for a vector: one that lasts as long as the process, or bytes to be copied.
enum CText {
    case lasting(UnsafePointer<CChar>)
    case copied(ByteString)

    /// The room that a copy takes.
    var room: Int {
        switch self {
        case .lasting: 0
        case .copied(let bytes): bytes.count + 1
        }
    }

    func withCString<Result>(_ body: (UnsafePointer<CChar>) -> Result) -> Result {
        switch self {
        case .lasting(let pointer): body(pointer)
        case .copied(let bytes): bytes.withCString(body)
        }
    }
}

/// A NULL-ended vector of C strings in two blocks of memory, freed with it.
final class CVector: @unchecked Sendable {
    // Never changed once it is made.
    let pointer: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>
    private let text: UnsafeMutablePointer<CChar>

    convenience init(_ strings: [ByteString]) { self.init(strings.map { .copied($0) }) }

    init(_ strings: [CText]) {
        text = .allocate(capacity: strings.reduce(1) { $0 + $1.room })
        pointer = .allocate(capacity: strings.count + 1)
        var next = text
        for (index, string) in strings.enumerated() {
            switch string {
            case .lasting(let bytes): pointer[index] = UnsafeMutablePointer(mutating: bytes)
            case .copied(let bytes):
                _ = bytes.withCString { memcpy(next, $0, string.room) }
                pointer[index] = next
                next += string.room
            }
        }
        pointer[strings.count] = nil
    }

    /// The same vector for a call that takes its strings as constants.
    var constantPointer: UnsafePointer<UnsafePointer<CChar>?> {
        UnsafeRawPointer(pointer).assumingMemoryBound(to: UnsafePointer<CChar>?.self)
    }

    deinit {
        text.deallocate()
        pointer.deallocate()
    }
}
