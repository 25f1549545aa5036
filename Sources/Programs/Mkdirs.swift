import Bytes
import Commands
import Confinement
import Linux

/// mkdirs(8): makes a directory and those above it, and becomes the child, if there is one.
func mkdirs(_ call: Call) throws(Failure) -> Outcome {
    let usage = Failure(usage: "mkdirs [ -m mode ] [ -o user[:group] ] dir [ child ]")
    var wanted = WantedDirectory()
    var reader = OptionReader(call.arguments, MkdirsOption.names, call.messages)
    while let result = reader.next() {
        switch result {
        case .option(.mode, let text): try wanted.take(mode: text)
        case .option(.owner, let text): try wanted.owner.take(user: text)
        case .wrong: throw usage
        }
    }
    let words = call.arguments[reader.operands...]
    guard let path = words.first, !path.isEmpty else { throw usage }
    try wanted.make(path)
    if words.count == 1 { return .exit(0) }
    return .become(Invocation(command: words.dropFirst(), environment: call.environment))
}

private enum MkdirsOption {
    /// The permissions of the last directory.
    case mode
    /// Its user, and group.
    case owner

    static var names: [OptionName<MkdirsOption>] {
        [
            OptionName("m", .mode, takesValue: true), OptionName("o", .owner, takesValue: true),
        ]
    }
}

/// What a directory is to be.
private struct WantedDirectory {
    /// Nil to leave what there is, and to let the umask decide of what is made.
    var mode: UInt32?
    var owner = Credentials()

    mutating func take(mode text: ByteString) throws(Failure) {
        var bits: UInt32 = 0
        for byte in text.bytes {
            let digit = byte &- UInt8(ascii: "0")
            bits = digit > 7 || bits > 0o777 ? .max : bits << 3 | UInt32(digit)
            if bits == .max { break }
        }
        if text.isEmpty || bits == .max {
            throw Failure("bad mode \(text): octal digits, as in 0750", exitCode: 100)
        }
        mode = bits
    }

    func make(_ path: ByteString) throws(Failure) {
        // Those above are as mkdir -p makes them. Until its owner is known, the last one is nobody else's.
        for parent in path.parents { _ = try open(parent, .place, permissions: 0o777) }
        if mode == nil && owner.user == nil {
            _ = try open(path, .place, permissions: 0o777)
            return
        }
        let permissions = mode.map { $0 & 0o700 } ?? (owner.user == nil ? 0o777 : 0o755)
        let directory = try open(path, .directory, permissions: permissions)
        // The kernel may clear bits when the owner changes, so the mode comes after it.
        if let user = owner.user {
            do throws(SystemError) {
                try setOwner(directory, user: user, group: owner.group)
            } catch { throw error.explained("unable to change the owner of \(path)") }
        }
        if let mode {
            do throws(SystemError) { try setPermissions(directory, mode) } catch {
                throw error.explained("unable to change the mode of \(path)")
            }
        }
    }

    private func open(_ path: ByteString, _ mode: OpenMode, permissions: UInt32) throws(Failure)
        -> Descriptor
    {
        do throws(SystemError) {
            return try openTrusted(path, mode, makingDirectory: permissions, alsoBehindLink: true)
        } catch { throw error.explained("unable to create directory \(path)") }
    }
}

extension ByteString {
    /// The paths of the directories above, the outermost first; without those that are `/` or nothing.
    fileprivate var parents: [ByteString] {
        let slash = UInt8(ascii: "/")
        var paths: [ByteString] = []
        var isInName = false
        for index in bytes.indices {
            if bytes[index] == slash {
                let rest = bytes[index...]
                if isInName && rest.contains(where: { $0 != slash }) {
                    paths.append(ByteString(bytes[..<index]))
                }
                isInName = false
            } else {
                isInName = true
            }
        }
        return paths
    }
}
