import Bytes
import Commands
import Linux

/// A policy to which the calls that runs of a program make are added.
public struct LearnedPolicy {
    private let path: ByteString
    private let text: [UInt8]
    private let policy: Policy?

    /// The filter of the policy as it was read; nil when there was none.
    public let filter: SystemCallFilter?

    /// The policy in the file `path`, which need not be there. A mistake in it fails with exit code 100.
    public init(_ path: ByteString) throws(Failure) {
        self.path = path
        do throws(SystemError) {
            text = try exists(path) ? try contents(of: path, limit: PolicySource.sizeLimit) : []
        } catch { throw error.explained("unable to read \(path)") }
        if text.isEmpty {
            policy = nil
            filter = nil
            return
        }
        guard case .policy(let policy) = try PolicySource.read(text, file: path) else {
            throw Failure("\(path) is not in the format that can be added to", exitCode: 100)
        }
        self.policy = policy
        filter = try SystemCallFilter(policy)
    }

    /// Adds the calls that `listener` collected and replaces the file in one step. A call that the policy
    /// already decides stays as it is. If there is no new one, the file stays as it is.
    func add(_ listener: SystemCallListener, _ messages: Messages) throws(Failure) {
        if listener.sawOtherArchitectures {
            messages.warning("calls of other architectures cannot be learned")
        }
        var names: [ByteString] = []
        for call in listener.calls
        where policy?.clauses[Int32(bitPattern: call)].last?.isUnconditional != true {
            if let name = Architecture.native.callName(call) {
                names.insert(name, at: names.firstIndex { name < $0 } ?? names.count)
            } else {
                messages.warning("call \(call) has no name and cannot be learned")
            }
        }
        if names.isEmpty && !text.isEmpty { return }
        var bytes = text.isEmpty ? LearnedPolicy.start : text
        if bytes.last.map({ $0 != UInt8(ascii: "\n") }) == true { bytes.append(UInt8(ascii: "\n")) }
        for name in names where !text.isEmpty || name != "exit_group" {
            bytes += ("\(name): 1\n" as ByteString).bytes
        }
        let temporary: ByteString = "\(path).new"
        try publish(try createFile(temporary), bytes, temporary, as: path)
    }

    /// The first lines of a new policy. Calls that no run made fail, so that the program can report them.
    /// exit_group is allowed even if every run was ended by a signal.
    private static let start = Array(
        """
        # Learned by seccomp --learn. Calls that no run made fail with "operation not permitted";
        # seccomp --log names them.
        @default return EPERM
        exit_group: 1

        """.utf8)
}
