import Bytes
import Commands
import Linux

extension Policy {
    /// The policy that a list in the manner of systemd's SystemCallFilter= describes: names and
    /// groups of calls, separated by blanks or commas. From the first word with `~` on, words are
    /// taken away. A list that begins so allows everything else; any other allows what it names and
    /// the group `@default`. What is not allowed fails with EPERM, or as `NAME:ERRNO` or `NAME:kill`
    /// say. A mistake fails with exit code 100.
    init(list: ByteString, option: ByteString) throws(Failure) {
        let place = PolicyPlace(file: option, line: nil)
        let words = list.bytes.split { $0 == UInt8(ascii: " ") || $0 == UInt8(ascii: ",") }
        let isDenyList = words.first?.first == UInt8(ascii: "~")
        let denied = FilterAction.fail(.notPermitted)
        defaultAction = isDenyList ? .allow : denied
        var isDenied = false
        for word in (isDenyList ? [] : [ArraySlice("@default".utf8)]) + words {
            var word = ByteString(word)
            if word[0] == UInt8(ascii: "~") {
                isDenied = true
                word = ByteString(word.bytes.dropFirst())
            }
            let (name, action) = try Policy.split(word, isDenied ? denied : .allow, place)
            if action != .allow && !isDenied {
                throw place.mistake("only a call that is taken away has an error: \(word)")
            }
            for number in try Policy.numbers(of: name, place) {
                clauses[number] = [Clause(action: action)]
            }
        }
        if words.isEmpty { throw place.mistake("no system calls") }
    }

    private static func numbers(of name: ByteString, _ place: PolicyPlace) throws(Failure)
        -> [Int32]
    {
        if name.hasPrefix("@") { return try expand(name, place) }
        return try number(of: name, place).map { [$0] } ?? []
    }

    /// `NAME`, `NAME:EPERM`, `NAME:13` or `NAME:kill`.
    private static func split(
        _ word: ByteString, _ action: FilterAction, _ place: PolicyPlace
    ) throws(Failure) -> (ByteString, FilterAction) {
        guard let colon = word.bytes.firstIndex(of: UInt8(ascii: ":")) else {
            return (word, action)
        }
        let name = ByteString(word.bytes[..<colon])
        let what = ByteString(word.bytes[(colon + 1)...])
        if what == "kill" { return (name, .killProcess) }
        guard let errno = errno(what) else { throw place.mistake("no error number: \(what)") }
        return (name, .fail(errno))
    }
}
