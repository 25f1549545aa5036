import Bytes
import Commands
import Linux

/// A policy in any of the formats, read but not compiled.
public enum PolicySource {
    /// Names and groups of calls, or a file of minijail's format.
    case policy(Policy)
    /// A profile in the JSON of OCI or Docker.
    case profile(Profile)
    /// What seccomprules(8) has compiled.
    case compiled(SystemCallFilter)

    /// The most bytes that a file, or what it includes, may have.
    public static let sizeLimit = 1 << 20

    /// What the user names: a list of calls when it begins with `@` or `~`, else a file. A mistake in
    /// it fails with exit code 100, a file that cannot be read with 111.
    public static func named(_ name: ByteString, _ profileTarget: ProfileTarget? = nil)
        throws(Failure)
        -> PolicySource
    {
        if name.hasPrefix("@") || name.hasPrefix("~") {
            return .policy(try Policy(list: name, option: "policy"))
        }
        let text: [UInt8]
        do throws(SystemError) { text = try contents(of: name, limit: sizeLimit) } catch {
            throw error.explained("unable to read \(name)")
        }
        return try read(text, file: name, profileTarget)
    }

    /// What `text` is, by how it begins; `file` is its name in messages.
    public static func read(
        _ text: [UInt8], file: ByteString, _ profileTarget: ProfileTarget? = nil
    )
        throws(Failure) -> PolicySource
    {
        if SystemCallFilter.isFile(text) {
            return .compiled(try SystemCallFilter(file: text, name: file))
        }
        if !isJSON(text) { return .policy(try PolicyReader.read(text, file: file)) }
        let profileTarget =
            if let profileTarget { profileTarget } else { try ProfileTarget.current() }
        return .profile(try Profile.read(text, file: file, profileTarget))
    }

    /// A JSON object has a string or a brace after its first brace; a policy has a name there.
    private static func isJSON(_ text: [UInt8]) -> Bool {
        func isBlank(_ byte: UInt8) -> Bool { byte == 32 || (9...13).contains(byte) }
        let start = text.drop(while: isBlank)
        guard start.first == UInt8(ascii: "{") else { return false }
        let next = start.dropFirst().first { !isBlank($0) }
        return next == UInt8(ascii: "\"") || next == UInt8(ascii: "}")
    }

    /// Compiles it. A policy under which no program could end fails with exit code 100.
    public func filter() throws(Failure) -> SystemCallFilter {
        let filter = try uncheckedFilter()
        // When exit_group fails, the C libraries call it again for ever. seccomprules(8) has already
        // checked what it compiled.
        if case .compiled = self { return filter }
        if filter.mayFail("exit_group") {
            throw Failure(
                "the policy has exit_group fail, and no program could end under it", exitCode: 100)
        }
        return filter
    }

    /// Compiles it without that check.
    func uncheckedFilter() throws(Failure) -> SystemCallFilter {
        switch self {
        case .policy(let policy): try SystemCallFilter(policy)
        case .profile(let profile): try SystemCallFilter(profile)
        case .compiled(let filter): filter
        }
    }
}

extension SystemCallFilter {
    /// Whether a call may fail with an error number instead of being made.
    fileprivate func mayFail(_ name: ByteString) -> Bool {
        guard let number = Architecture.native.number(of: name) else { return false }
        return answers(to: number, of: Architecture.native.auditNumber).contains { $0.isFailure }
    }
}

extension SystemCallFilter {
    /// Compiles what the user names: a list of calls when it begins with `@` or `~`, else a file.
    public init(policy: ByteString) throws(Failure) {
        self = try PolicySource.named(policy).filter()
    }

    /// Takes what seccomprules(8) compiled to the file `path`; anything else fails with exit code 111.
    public init(compiled path: ByteString) throws(Failure) {
        guard case .compiled(let filter) = try PolicySource.named(path) else {
            throw Failure("\(path) is not a compiled policy")
        }
        self = filter
    }

    /// Compiles `source` to the file `temporary` and moves that to `target`, so that programs see the
    /// old policy or the new one.
    public static func compile(
        _ source: PolicySource, to target: ByteString, through temporary: ByteString
    ) throws(Failure) {
        let file = try createFile(temporary)
        try publish(file, try source.filter().file, temporary, as: target)
    }
}
