import Bytes
import CLinux

/// A program that is started again and again, each time with an environment that differs a little
/// from the inherited one.
public struct PreparedProgram {
    let invocation: PreparedInvocation
    private let inheritedCount: Int

    /// The program as the user wrote it.
    public var program: ByteString { invocation.program }

    /// Lays out what `invocation` says. The directories of PATH are put in front of the name now.
    public init(_ invocation: Invocation) {
        self.invocation = PreparedInvocation(invocation)
        inheritedCount = invocation.environment.entries.count
    }

    /// Replaces this process. `edits` is as in `start`. Returns only by throwing. execve(2).
    public func execute(edits: [UInt8]) throws(SystemError) -> Never {
        _ = try Kernel.call("execve", program, retry: false) { () -> Int32 in
            withEnvironment(edits) {
                cl_exec(invocation.candidates.constantPointer, invocation.arguments.pointer, $0)
            }
        }
        fatalError("execve succeeded and returned")
    }

    /// Starts the program with vfork(2), with the inherited environment changed by `edits`: each is
    /// `NAME=VALUE` or, to remove the variable, `NAME`, and ends in a NUL. Once all is set up the
    /// child writes `announcement` on descriptor 2, its process id in place of each NUL. Throws when
    /// there is no child.
    public func start(edits: [UInt8], setup: ChildSetup, announcement: [UInt8])
        throws(SystemError) -> StartResult
    {
        var numbers = setup.descriptors
        return try numbers.withUnsafeMutableBufferPointer {
            (descriptors) throws(SystemError) -> StartResult in
            var request = spawnRequest(setup, descriptors)
            request.paths = invocation.candidates.constantPointer
            request.arguments = UnsafePointer(invocation.arguments.pointer)
            return try withEnvironment(edits) {
                (environment) throws(SystemError) -> StartResult in
                request.environment = UnsafePointer(environment)
                return try spawnAnnouncing(&request, announcement)
            }
        }
    }

    private func withEnvironment<Result, Failure: Error>(
        _ edits: [UInt8],
        _ body: (UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>) throws(Failure) -> Result
    ) throws(Failure) -> Result {
        try edits.withUnsafeBufferPointer { (edits) throws(Failure) -> Result in
            try withUnsafeTemporaryAllocation(
                of: UnsafeMutablePointer<CChar>?.self, capacity: entries(for: edits.count)
            ) { (vector) throws(Failure) -> Result in
                let start = vector.baseAddress.unsafelyUnwrapped
                layOut(UnsafeRawBufferPointer(edits), to: start)
                return try body(start)
            }
        }
    }

    /// How many pointers the environment can take with `size` bytes of edits.
    func entries(for size: Int) -> Int {
        // An edit has a byte and its NUL at least; a NULL is at the end.
        inheritedCount + size / 2 + 1
    }

    /// Puts pointers to the environment at `start`. It is edited in the way of pathexec_env: a variable
    /// that is set anew moves to the end, and the last one takes its place.
    func layOut(
        _ edits: UnsafeRawBufferPointer,
        to start: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>
    ) {
        start.initialize(from: invocation.environment.pointer, count: inheritedCount)
        let count = apply(edits, to: start, inheritedCount)
        (start + count).initialize(to: nil)
    }
}

/// Applies edits to the `count` entries of an environment; returns how many there are then.
private func apply(
    _ edits: UnsafeRawBufferPointer,
    to entries: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>, _ count: Int
) -> Int {
    var count = count
    var rest = edits[...]
    while let end = rest.firstIndex(of: 0), let base = rest.base.baseAddress {
        let equals = rest[..<end].firstIndex(of: UInt8(ascii: "="))
        let name = UnsafeRawBufferPointer(rebasing: rest[..<(equals ?? end)])
        var index = 0
        while index < count {
            if isEntry(entries[index], named: name) {
                count -= 1
                entries[index] = entries[count]
            } else {
                index += 1
            }
        }
        if equals != nil {
            let text = (base + rest.startIndex).assumingMemoryBound(to: CChar.self)
            (entries + count).initialize(to: UnsafeMutablePointer(mutating: text))
            count += 1
        }
        rest = rest[(end + 1)...]
    }
    return count
}

private func isEntry(_ entry: UnsafeMutablePointer<CChar>?, named name: UnsafeRawBufferPointer)
    -> Bool
{
    // Most entries differ in their first byte.
    guard let entry, let bytes = name.baseAddress?.assumingMemoryBound(to: CChar.self),
        entry.pointee == bytes.pointee
    else { return false }
    return strncmp(entry, bytes, name.count) == 0
        && entry[name.count] == CChar(UInt8(ascii: "="))
}

/// What became of a child.
public enum StartResult {
    /// It runs the program.
    case running(ProcessID)
    /// It could not become the program, and has been reaped.
    case failed(ProcessID, Errno)
}

/// Starts a child that does not become another program: it writes `announcement` as the children of
/// `PreparedProgram` do and ends with `exitCode`. Throws when there is no child.
public func startEnding(exitCode: Int32, announcement: [UInt8]) throws(SystemError) -> StartResult {
    var request = spawnRequest(ChildSetup(), UnsafeMutableBufferPointer(start: nil, count: 0))
    request.exit_code = exitCode
    return try spawnAnnouncing(&request, announcement)
}

private func spawnAnnouncing(_ request: inout cl_spawn_request, _ announcement: [UInt8])
    throws(SystemError) -> StartResult
{
    do throws(SystemError) {
        return .running(
            try Kernel.call("spawn", retry: false) {
                announcement.withUnsafeBytes { text in
                    request.announcement = text.baseAddress?.assumingMemoryBound(to: CChar.self)
                    request.announcement_length = Int32(text.count)
                    return cl_spawn(&request)
                }
            })
    } catch {
        if request.pid <= 0 { throw error }
        return .failed(request.pid, error.errno)
    }
}
