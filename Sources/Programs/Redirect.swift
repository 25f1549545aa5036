import Bytes
import Commands
import Linux

/// redirect(8): opens, copies and closes descriptors in the order of its options, and becomes the child.
func redirect(_ call: Call) throws(Failure) -> Outcome {
    let usage = Failure(
        usage: "redirect [ -r|w|a|u|x [n=]file ] [ -d n=m ] [ -c n ] ... child")
    var reader = OptionReader(call.arguments, RedirectOption.names, call.messages)
    var redirections: [Redirection] = []
    while let result = reader.next() {
        guard case .option(let option, let value) = result,
            let redirection = Redirection(option, value)
        else { throw usage }
        redirections.append(redirection)
    }
    let words = call.arguments[reader.operands...]
    guard !words.isEmpty else { throw usage }
    for redirection in redirections { try redirection.perform() }
    return .become(Invocation(command: words, environment: call.environment))
}

private enum RedirectOption: Sendable {
    /// A file, opened so; its descriptor, where none is given.
    case open(OpenMode, ByteString, Int32)
    /// What is to be a copy, and of what.
    case copy
    /// What is not to be open.
    case close

    static var names: [OptionName<RedirectOption>] {
        [
            OptionName("r", .open(.waitingRead, "read", 0), takesValue: true),
            OptionName("w", .open(.waitingTruncate, "write", 1), takesValue: true),
            OptionName("a", .open(.waitingAppend, "append", 1), takesValue: true),
            OptionName("u", .open(.waitingReadWrite, "read and write", 0), takesValue: true),
            OptionName("x", .open(.waitingCreate, "create", 1), takesValue: true),
            OptionName("d", .copy, takesValue: true),
            OptionName("c", .close, takesValue: true),
        ]
    }
}

/// One thing to do with descriptors.
private enum Redirection {
    case open(Int32, ByteString, OpenMode, kind: ByteString)
    case copy(Int32, of: Int32)
    case close(Int32)

    /// Nil when the value is none for the option.
    init?(_ option: RedirectOption, _ value: ByteString) {
        let parts = value.cut(at: UInt8(ascii: "="))
        let target = parts.flatMap { Redirection.descriptor($0.before) }
        switch option {
        case .open(let mode, let kind, let usual):
            if let target, let parts {
                self = .open(target, parts.after, mode, kind: kind)
            } else {
                self = .open(usual, value, mode, kind: kind)
            }
        case .copy:
            guard let target, let source = parts.flatMap({ Redirection.descriptor($0.after) })
            else { return nil }
            self = .copy(target, of: source)
        case .close:
            guard let target = Redirection.descriptor(value) else { return nil }
            self = .close(target)
        }
    }

    private static func descriptor(_ text: ByteString) -> Int32? {
        guard text.bytes.first != UInt8(ascii: "-") else { return nil }
        return parseDecimal(text, within: 0...Int(Int32.max)).map { Int32($0) }
    }

    func perform() throws(Failure) {
        switch self {
        case .open(let target, let path, let mode, let kind):
            do throws(SystemError) {
                let file = try openFile(path, mode)
                if file.number == target {
                    try file.keepOnExec()
                    _ = file.release()
                } else {
                    try Linux.redirect(target, to: file.number)
                }
            } catch {
                throw error.explained("unable to \(kind) \(path) as descriptor \(target)")
            }
        case .copy(let target, let source):
            do throws(SystemError) { try Linux.redirect(target, to: source) } catch {
                throw error.explained("unable to make descriptor \(target) a copy of \(source)")
            }
        case .close(let number): closeUnowned(number)
        }
    }
}
