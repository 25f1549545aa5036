import Bytes
import Formats
import Testing

@Suite("What a service tells its supervisor") struct NotifyMessageTests {
    private func read(_ text: String) -> NotifyMessage? { NotifyMessage(Array(text.utf8)) }

    /// A message that says nothing, with changes.
    private func message(_ change: (inout NotifyMessage) -> Void) -> NotifyMessage {
        var message = NotifyMessage()
        change(&message)
        return message
    }

    @Test(
        "A flag is set by 1 and by nothing else",
        arguments: [
            ("READY", \NotifyMessage.isReady), ("RELOADING", \.isReloading),
            ("STOPPING", \.isStopping), ("RESTART_RESET", \.resetsRestarts),
            ("FDSTORE", \.storesDescriptors), ("FDSTOREREMOVE", \.removesDescriptors),
            ("BARRIER", \.isBarrier),
        ] as [(String, WritableKeyPath<NotifyMessage, Bool> & Sendable)])
    func flags(key: String, path: WritableKeyPath<NotifyMessage, Bool> & Sendable) {
        let expected = message { $0[keyPath: path] = true }
        for text in [
            "\(key)=1", "\(key)=1\n", "\n\(key)=1\n\n", "\(key)=0\n\(key)=1", "\(key)=1\r\n",
            "\(key)=1\0",
        ] {
            #expect(read(text) == expected, "\(text.debugDescription)")
        }
        for text in ["", "0", "2", "01", "11", "1 ", " 1", "yes", "true", "=1"] {
            #expect(read("\(key)=\(text)") == NotifyMessage(), "\(text.debugDescription)")
        }
        #expect(read(key) == NotifyMessage())
        #expect(read("\(key.lowercased())=1") == NotifyMessage())
        #expect(read(" \(key)=1") == NotifyMessage())
        #expect(read("X_\(key)=1") == NotifyMessage())
    }

    @Test("Several lines are taken together")
    func several() {
        let text = "READY=1\nSTATUS=serving 3 = three\nMAINPID=4711\nX_OTHER=1\nWATCHDOG=1"
        let expected = message {
            $0.isReady = true
            $0.status = "serving 3 = three"
            $0.mainPID = 4711
            $0.watchdog = .ping
        }
        #expect(read(text) == expected)
    }

    @Test("An empty datagram, unknown keys and lines without a key say nothing")
    func nothing() {
        for text in [
            "", "\n", "\0", "READY", "=1", "=", "X_KEY=1", "READY 1=1", "🐦=1", "BUSERROR=a.b",
        ] {
            #expect(read(text) == NotifyMessage(), "\(text.debugDescription)")
        }
    }

    @Test("Of several values the first that makes sense counts")
    func first() {
        #expect(read("STATUS=a\nSTATUS=b")?.status == "a")
        #expect(read("STATUS=\nSTATUS=b")?.status == "")
        #expect(read("MAINPID=x\nMAINPID=7\nMAINPID=8")?.mainPID == 7)
        #expect(read("WATCHDOG=0\nWATCHDOG=trigger\nWATCHDOG=1")?.watchdog == .trigger)
    }

    @Test(
        "Numbers beyond their range, and what is no number, count for nothing",
        arguments: [
            ("ERRNO", "0", 0), ("ERRNO", "4095", 4095), ("ERRNO", "4096", nil),
            ("EXIT_STATUS", "0", 0), ("EXIT_STATUS", "255", 255), ("EXIT_STATUS", "256", nil),
            ("MAINPID", "2", 2), ("MAINPID", "2147483647", 2_147_483_647), ("MAINPID", "1", nil),
            ("MAINPID", "0", nil), ("MAINPID", "2147483648", nil), ("MAINPID", "-1", nil),
            ("MAINPID", "4294967298", nil), ("MAINPID", "18446744073709551618", nil),
            ("MAINPID", "+5", nil), ("MAINPID", " 5", nil), ("MAINPID", "5 ", nil),
            ("MAINPID", "0005", 5),
            ("ERRNO", "", nil), ("ERRNO", "EINVAL", nil), ("ERRNO", "1e3", nil),
            ("ERRNO", "0x10", nil),
        ] as [(String, String, Int?)])
    func numbers(key: String, value: String, expected: Int?) {
        let read = self.read("\(key)=\(value)")
        let found = key == "ERRNO" ? read?.errno.map { Int($0) } : read?.mainPID.map { Int($0) }
        #expect((key == "EXIT_STATUS" ? read?.exitStatus.map { Int($0) } : found) == expected)
        #expect(read != nil)
    }

    @Test(
        "Microseconds become nanoseconds, without end where they do not fit",
        arguments: [
            ("0", 0), ("1", 1000), ("30000000", 30_000_000_000),
            ("18446744073709551", 18_446_744_073_709_551_000),
            ("18446744073709552", .max), ("18446744073709551615", .max),
            ("99999999999999999999999", .max),
            ("", nil), ("-1", nil), ("1s", nil), ("infinity", nil),
        ] as [(String, UInt64?)])
    func durations(text: String, expected: UInt64?) {
        #expect(read("WATCHDOG_USEC=\(text)")?.watchdogInterval == expected)
        #expect(read("EXTEND_TIMEOUT_USEC=\(text)")?.timeExtension == expected)
        #expect(read("MONOTONIC_USEC=\(text)")?.monotonic == expected)
    }

    @Test("A name of descriptors is visible ASCII without a colon")
    func names() {
        let longest = String(repeating: "n", count: 255)
        for name in ["a", "web socket", "~!@#", longest] {
            #expect(read("FDSTORE=1\nFDNAME=\(name)")?.descriptorName == ByteString(name))
        }
        for name in ["", "a:b", "a\tb", "é", "\u{7f}", longest + "n"] {
            #expect(read("FDNAME=\(name)") == NotifyMessage(), "\(name.debugDescription)")
        }
        #expect(read("FDPOLL=0")?.pollsDescriptors == false)
        #expect(read("FDPOLL=1")?.pollsDescriptors == true)
        #expect(read("FDPOLL=0\nFDPOLL=1")?.pollsDescriptors == false)
    }

    @Test("Beside a barrier nothing counts")
    func barrier() {
        let expected = message { $0.isBarrier = true }
        #expect(read("BARRIER=1") == expected)
        #expect(read("READY=1\nBARRIER=1\nSTATUS=x\nMAINPID=7\nFDPOLL=0") == expected)
    }

    @Test("Text is kept as it came, up to its limit, and is not cut within a character")
    func text() {
        let limit = NotifyMessage.longestText
        func kept(_ text: [UInt8]) -> Int? {
            NotifyMessage(Array("STATUS=".utf8) + text)?.status?.count
        }
        #expect(
            NotifyMessage(Array("STATUS=".utf8) + [0xff, 0x1b, 9])?.status
                == ByteString([0xff, 0x1b, 9]))
        #expect(kept(Array(repeating: 0x61, count: limit)) == limit)
        #expect(kept(Array(repeating: 0x61, count: limit + 1)) == limit)
        for (character, length) in [("é", 2), ("€", 3), ("𝄞", 4)] {
            for shift in 0..<length {
                let text =
                    Array(repeating: 0x61, count: limit - shift) + Array(character.utf8) + [0x61]
                let expected = shift == 0 || shift == length ? limit : limit - shift
                #expect(kept(text) == (shift == length ? limit : expected), "\(character) \(shift)")
            }
        }
        // What is no UTF-8 is cut anywhere.
        #expect(kept(Array(repeating: 0x80, count: limit + 9)) == limit)
    }

    @Test("What is longer than a datagram may be, or has a NUL within, is no message")
    func bounds() {
        let start = Array("READY=1\nX_".utf8)
        let longest = start + Array(repeating: 0x61, count: NotifyMessage.longest - start.count)
        #expect(NotifyMessage(longest)?.isReady == true)
        #expect(NotifyMessage(longest + [0x61]) == nil)
        #expect(read("READY=1\0\0") == nil)
        #expect(read("READY=1\0STATUS=x") == nil)
        #expect(read("\0READY=1") == nil)
    }
}
