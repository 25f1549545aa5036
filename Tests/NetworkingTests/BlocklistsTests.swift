import Bytes
import Formats
import Linux
import Testing

@testable import Networking

@Suite("rblsmtpd")
struct BlocklistsTests {
    private func reply(_ lists: Blocklists) -> String? {
        lists.refusal.map { String(decoding: $0, as: UTF8.self) }
    }

    private func consult(
        _ lists: inout Blocklists, _ name: ByteString, _ answer: [ArraySlice<UInt8>]?,
        exceptions: Bool = false, asked: ((String, DNSRecordType) -> Void)? = nil
    ) {
        let look = { (query: [UInt8], type: DNSRecordType) throws(LookUpError) in
            asked?(String(decoding: query, as: UTF8.self), type)
            guard let answer else { throw LookUpError() }
            // A list of texts has no addresses here.
            let hasTexts = !exceptions && !name.contains(UInt8(ascii: ":"))
            return hasTexts && type == .address ? [] : answer
        }
        if exceptions {
            lists.consultExceptions(name, look)
        } else {
            lists.consult(name, look)
        }
    }

    private func text(_ strings: String...) -> [ArraySlice<UInt8>] {
        strings.map { [UInt8($0.utf8.count)] + Array($0.utf8) }
    }

    private let address: [ArraySlice<UInt8>] = [[127, 0, 0, 2]]

    @Test("$RBLSMTPD decides before all lists")
    func preset() {
        let cases: [(ByteString?, String?)] = [
            (nil, nil), ("", nil), ("go away", "451 go away"), ("-go away", "553 go away"),
            ("-", "553 "), ("--", "553 -"), (ByteString([7, 200, 65]), "451 ??A"),
        ]
        for (preset, expected) in cases {
            var lists = Blocklists(client: "192.0.2.1", preset: preset)
            #expect(reply(lists) == expected)
            var wasAsked = false
            consult(&lists, "list", text("listed")) { _, _ in wasAsked = true }
            #expect(wasAsked == (preset == nil))
            #expect(reply(lists) == (preset == nil ? "451 listed" : expected))
        }
    }

    @Test("Lists are asked about the reversed address, for text, addresses or exceptions")
    func names() {
        let cases: [(ByteString, String)] = [
            ("192.0.2.1", "1.2.0.192.list"), ("", "list"), ("1", "1.list"), ("1.", ".1.list"),
            (
                "2001:db8::ff",
                "f.f.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.list"
            ), ("::ffff:192.0.2.1", "1.2.0.::ffff:192.list"), ("x:y", "x:y.list"),
        ]
        for (client, name) in cases {
            for (list, exceptions, type) in [
                ("list", false, .text), ("list:text", false, .address), ("list", true, .address),
            ] as [(ByteString, Bool, DNSRecordType)] {
                var lists = Blocklists(client: client, preset: nil)
                var asked: (String, DNSRecordType)?
                consult(&lists, list, [], exceptions: exceptions) { asked = ($0, $1) }
                #expect(asked?.0 == name && asked?.1 == type)
                #expect(reply(lists) == nil)
            }
        }
    }

    @Test("The first list that knows the client decides")
    func order() {
        var lists = Blocklists(client: "192.0.2.1", preset: nil)
        consult(&lists, "empty", text(""))
        consult(&lists, "first", text("one", " two"))
        lists.bounces = true
        consult(&lists, "second", text("three"))
        consult(&lists, "good", address, exceptions: true)
        #expect(reply(lists) == "451 one two")

        lists = Blocklists(client: "192.0.2.1", preset: nil)
        lists.bounces = true
        consult(&lists, "good", [[1, 2, 3]], exceptions: true)
        consult(&lists, "bad", text("x"))
        #expect(reply(lists) == "553 x")

        lists = Blocklists(client: "192.0.2.1", preset: nil)
        consult(&lists, "good", address, exceptions: true)
        consult(&lists, "bad", text("x"))
        #expect(reply(lists) == nil)
    }

    @Test("Look-ups that fail let mail in or defer it, and never make it bounce")
    func failures() {
        for (failsClosed, exceptions, expected) in [
            (false, false, "451 listed"), (true, false, "451 temporary RBL lookup error"),
            (false, true, nil), (true, true, "451 listed"),
        ] as [(Bool, Bool, String?)] {
            var lists = Blocklists(client: "192.0.2.1", preset: nil)
            lists.bounces = true
            lists.failsClosed = failsClosed
            consult(&lists, "broken", nil, exceptions: exceptions)
            consult(&lists, "list", text("listed"))
            #expect(reply(lists) == expected)
        }
    }

    @Test("A list of addresses says what it is told to, with the client's address")
    func addresses() {
        for (list, expected) in [
            ("l:bad %IP%", "bad 192.0.2.1"), ("l:%IP%%IP%", "192.0.2.1192.0.2.1"),
            ("l:%IP %ip% %%IP%", "%IP %ip% %192.0.2.1"), ("l:a:b", "a:b"),
        ] as [(ByteString, String)] {
            var lists = Blocklists(client: "192.0.2.1", preset: nil)
            consult(&lists, list, address)
            #expect(reply(lists) == "451 \(expected)")
        }
        var lists = Blocklists(client: "192.0.2.1", preset: nil)
        consult(&lists, "l:x", [[1, 2, 3]])
        #expect(reply(lists) == nil)
    }

    @Test("The client is told 200 bytes of text, all of them printable")
    func clipping() {
        var lists = Blocklists(client: "", preset: nil)
        consult(&lists, "l", [[200] + [UInt8](repeating: 65, count: 200), [2, 66, 66]])
        #expect(reply(lists)?.count == 204)
        lists = Blocklists(client: "", preset: nil)
        consult(&lists, "l", [[5, 9, 31, 32, 126, 127]])
        #expect(reply(lists) == "451 ?? ~?")
    }

    @Test("Name servers come from $DNSCACHEIP or from resolv.conf")
    func nameServers() {
        func read(_ servers: [IPAddress]) -> [String] {
            servers.map { String(decoding: $0.text, as: UTF8.self) }
        }
        func cache(_ text: String) -> [String] {
            read(NameServers.parse(cacheList: Array(text.utf8)[...]))
        }
        #expect(cache("127.0.0.1") == ["127.0.0.1"])
        #expect(cache("127.0.0.1.10.0.0.2.") == ["127.0.0.1", "10.0.0.2"])
        #expect(cache("127.0.0.1.10.0") == ["127.0.0.1"])
        #expect(cache("x") == [] && cache("") == [] && cache("1.2.3") == [])
    }

    @Test(
        "What means that a list refuses to answer, or that something else answers, is no listing",
        arguments: [
            [127, 255, 255, 254], [127, 255, 255, 255], [127, 255, 255, 0], [192, 0, 2, 1],
            [10, 0, 0, 1],
        ] as [[UInt8]])
    func refusedLookUps(answer: [UInt8]) {
        for (list, exceptions) in [("list:bad", false), ("good", true)] as [(ByteString, Bool)] {
            var lists = Blocklists(client: "192.0.2.1", preset: nil)
            lists.failsClosed = true
            consult(&lists, list, [answer[...]], exceptions: exceptions)
            #expect(reply(lists) == (exceptions ? nil : "451 temporary RBL lookup error"))
            consult(&lists, "second", text("listed"))
            #expect(
                reply(lists) == (exceptions ? "451 listed" : "451 temporary RBL lookup error"))
            lists = Blocklists(client: "192.0.2.1", preset: nil)
            consult(&lists, list, [[127, 0, 0, 2], answer[...]], exceptions: exceptions)
            #expect(reply(lists) == nil)
        }
        // A list of texts is asked for its addresses too once it has said something.
        var lists = Blocklists(client: "192.0.2.1", preset: nil)
        var asked: [DNSRecordType] = []
        let look = { (_: [UInt8], type: DNSRecordType) throws(LookUpError) -> [ArraySlice<UInt8>] in
            asked.append(type)
            return type == .text ? self.text("Error: open resolver") : [answer[...]]
        }
        lists.consult("list", look)
        #expect(reply(lists) == nil)
        #expect(asked == [.text, .address])
    }

    @Test("A list of good clients that is asked too often knows nobody")
    func exhaustedExceptions() {
        var lists = Blocklists(client: "192.0.2.1", preset: nil)
        lists.failsClosed = true
        consult(&lists, "good", [[127, 0, 0, 255]], exceptions: true)
        consult(&lists, "bad", text("listed"))
        #expect(reply(lists) == "451 listed")
    }
}

@Suite("Refusing SMTP")
struct RefusingSMTPTests {
    private func replies(_ text: String) -> [RefusingSMTP.Reply] {
        var conversation = RefusingSMTP()
        return text.utf8.compactMap { conversation.take($0) }
    }

    @Test("Verbs of four letters are known in any case, up to a space or the end of the line")
    func verbs() {
        for verb in ["helo", "EHLO", "Mail", "rSeT", "noop"] {
            for end in ["\n", "\r\n", " \n", " x y\r\n"] { #expect(replies(verb + end) == [.yes]) }
        }
        #expect(replies("quit\r\nQUIT\n") == [.goodbye, .goodbye])
        for line in [
            "", "\r", "rcpt to:<x>", "data", "helox", "hel", " helo", "helo\r\r", "helo\t",
            "HELO\0",
            "n/op", "quit\rx", "\u{8}elo", "MAI\u{c}", "auth",
            String(repeating: "quit", count: 9999),
        ] {
            #expect(replies(line + "\n") == [.no])
            #expect(replies(line) == [])
        }
    }

    @Test("Lines do not mix")
    func sequence() {
        #expect(replies("helo\nx\nnoop\n\nquit\n") == [.yes, .no, .yes, .no, .goodbye])
    }
}
