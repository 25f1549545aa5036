import Testing

@testable import Formats

/// Compiles rules; the error, if a line does not parse, as text.
private func compile(_ text: String) throws -> [UInt8] {
    var compiler = AccessRuleCompiler()
    for line in text.split(separator: "\n", omittingEmptySubsequences: false) {
        #expect(try compiler.add(Array((line + "\n").utf8)[...]))
    }
    try compiler.complete()
    var file: [UInt8] = []
    let header = compiler.finish { file += $0 }
    return header + file[header.count...]
}

/// What rules say to a connection: the key that was found and what its record holds.
private func access(
    _ rules: [UInt8], _ address: String, host: String? = nil, info: String? = nil
) throws -> String {
    var reader = try AccessRules(MemorySource(rules))
    _ = try reader.verify()
    var said = ""
    let found = try reader.apply(
        AccessQuery(
            address: Array(address.utf8), host: host.map { Array($0.utf8) },
            info: info.map { Array($0.utf8) })
    ) { item in
        switch item {
        case .deny: said += " deny"
        case .variable(let text): said += " " + String(decoding: text, as: UTF8.self)
        }
        return true
    }
    return found ? String(decoding: reader.key, as: UTF8.self) + ":" + said : "default"
}

@Suite struct AccessRulesTests {
    @Test("The first key that has a rule counts, in ucspi-tcp's order")
    func order() throws {
        let keys = [
            "joe@1.2.3.4", "joe@=a.b.c", "1.2.3.4", "=a.b.c", "1.2.3.", "1.2.", "1.", "=.b.c",
            "=.c", "=", "",
        ]
        // Each time the rule found before is gone, so that the next one is found.
        for first in keys.indices {
            let rules = try compile(keys[first...].map { "\($0):allow" }.joined(separator: "\n"))
            #expect(
                try access(rules, "1.2.3.4", host: "a.b.c", info: "joe") == "\(keys[first]):")
        }
    }

    @Test("What is not known matches no rule about it")
    func unknown() throws {
        let rules = try compile("joe@1.2.3.4:deny\n=a.b.c:deny\n=:deny\n@1.2.3.4:deny\n")
        #expect(try access(rules, "1.2.3.4") == "default")
        #expect(try access(rules, "1.2.3.4", info: "") == "@1.2.3.4: deny")
        #expect(try access(rules, "9.9.9.9", host: "") == "=: deny")
    }

    @Test("Of prefixes in slash notation the longest counts, whatever their order")
    func longestPrefix() throws {
        let texts = [
            "10.0.0.0/8:deny", "10.1.0.0/15:allow,A=\"15\"", "10.1.0.0/16:allow,A=\"16\"",
            "10.1.2.64/26:allow,A=\"26\"", "10.1.2.0/23:allow,A=\"23\"", "10.1.2.65:deny",
            "0.0.0.0/0:allow,A=\"0\"",
        ]
        for text in [texts, texts.reversed()] {
            let rules = try compile(text.joined(separator: "\n"))
            #expect(try access(rules, "10.9.9.9") == "10.: deny")
            #expect(try access(rules, "10.0.9.9") == "10.0.: A=15")
            #expect(try access(rules, "10.1.9.9") == "10.1.: A=16")
            #expect(try access(rules, "10.1.3.9") == "10.1.3.: A=23")
            #expect(try access(rules, "10.1.2.63") == "10.1.2.: A=23")
            #expect(try access(rules, "10.1.2.64") == "10.1.2.64: A=26")
            #expect(try access(rules, "10.1.2.65") == "10.1.2.65: deny")
            #expect(try access(rules, "10.1.2.127") == "10.1.2.127: A=26")
            #expect(try access(rules, "10.1.2.128") == "10.1.2.: A=23")
            #expect(try access(rules, "11.0.0.1") == "11.: A=0")
        }
    }

    @Test("Every length of an IPv4 prefix covers its addresses and no other")
    func everyLength() throws {
        let address = IPAddress(ipv4: 0xA1B2_C3D4)
        for length in 0...32 {
            let rules = try compile("161.178.195.212/\(length):deny\n")
            for bit in 0..<32 {
                let other = IPAddress(ipv4: UInt32(address.low) ^ (0x8000_0000 >> UInt32(bit)))
                let text = String(decoding: other.text, as: UTF8.self)
                let isDenied = try access(rules, text).hasSuffix("deny")
                #expect(isDenied == (bit >= length), "\(text) in /\(length)")
            }
        }
    }

    @Test("IPv6 addresses and prefixes are found, the longest first")
    func ipv6() throws {
        let rules = try compile(
            """
            [2001:db8::]/32:allow,A="32"
            [2001:DB8:0:1::]/64:allow,A="64"
            [2001:db8:0:1::5]:deny
            joe@[2001:db8::9]:allow,A="joe"
            [::]/0:deny
            10.:allow
            """)
        #expect(try access(rules, "2001:db8:ffff::1") == "2001:db8::/32: A=32")
        #expect(try access(rules, "2001:db8:0:1::6") == "2001:db8:0:1::/64: A=64")
        #expect(try access(rules, "2001:db8:0:1::5") == "2001:db8:0:1::5: deny")
        #expect(try access(rules, "2001:db8::9", info: "joe") == "joe@2001:db8::9: A=joe")
        #expect(try access(rules, "fe80::1") == "::/0: deny")
        #expect(try access(rules, "10.0.0.1") == "10.:")
        #expect(try access(rules, "11.0.0.1") == "default")
    }

    @Test("An IPv4-mapped address is the IPv4 one")
    func mapped() throws {
        let rules = try compile("[::ffff:10.0.0.1]:deny\n")
        #expect(try access(rules, "10.0.0.1") == "10.0.0.1: deny")
    }

    @Test(
        "A line that does not parse is an error with the line",
        arguments: [
            "1.2.3.4:", "1.2.3.4:permit", "1.2.3.4:deny x", "1.2.3.4:allow,A", "1.2.3.4:allow,A=\"",
            "1.2.3.a-b:deny", "10.0.0.0/33:deny", "10.0.0.0/:deny", "10.0.0.0/x:deny",
            "[2001:db8::]/129:deny", "[2001:db8::]x:deny", "joe@[2001:db8::]/32:deny", "[::1:deny",
        ])
    func unparsable(line: String) {
        #expect(throws: AccessRuleError.unparsable(Array(line.utf8))) { try compile(line + " \t") }
    }

    @Test("Data that tcprules does not write is corrupt, not permission")
    func damagedData() throws {
        for data in ["D", "E\0", "DD\0", "+A\0", "+A=1", "\0", "+A=1\0x", "+A=1\0\0"] {
            var builder = CDBBuilder()
            let isAdded = builder.add(key: [], data: Array(data.utf8))
            #expect(isAdded)
            let rules = assemble(builder)
            #expect(throws: CDBError<MemorySource.Unreadable>.self) {
                try access(rules, "1.2.3.4")
            }
        }
    }

    @Test(
        "No changed bit or byte of a compiled file lets a denied address in",
        arguments: [
            ("127.0.0.1", "127.0.0.1:deny\n127.0.0.:deny,A=\"x\"\n:allow\n"),
            // Without its data, the first record would end where something like another begins.
            (
                "10.0.0.1",
                "10.:deny\n:allow\n1.:allow,A=\"\(String(repeating: "x", count: 70))\"\n"
            ),
            ("2001:db8::1", "[2001:db8::]/32:deny\n[2001::]/16:allow\n[::1]:allow\n:allow\n"),
        ])
    func flipped(address: String, text: String) throws {
        let rules = try compile(text)
        for index in rules.indices {
            for mask in [0x01, 0x02, 0x04, 0x08, 0x10, 0x20, 0x40, 0x80, 0xff] as [UInt8] {
                var damaged = rules
                damaged[index] ^= mask
                do {
                    let said = try access(damaged, address)
                    #expect(said.contains(" deny"), "byte \(index) ^ \(mask): \(said)")
                } catch is CDBError<MemorySource.Unreadable> {}
            }
        }
    }

    @Test("A value with a NUL, which would be read as several items, does not parse")
    func nul() throws {
        for text in ["1.2.3.4:allow,A=\"x\0D\"", "1.2.3.4:allow,A\0=\"x\"", "1.2.3.4:deny\0"] {
            #expect(throws: AccessRuleError.self) { try compile(text) }
        }
        // In place of the quotes it is as good as any byte.
        let found = try access(compile("1.2.3.4:allow,A=\0b\0"), "1.2.3.4")
        #expect(found == "1.2.3.4: A=b")
    }

    @Test("Lines that no client can match are told, and no others")
    func unreachable() throws {
        func unreachable(_ text: String) throws -> [String] {
            var compiler = AccessRuleCompiler(findsUnreachable: true)
            return try text.split(separator: "\n").map { String($0) }.filter {
                try !compiler.add(Array($0.utf8)[...])
            }
        }
        let good = """
            # a comment
            no colon
            10.:allow
            10.1.:deny
            10.1.2.:deny
            10.1.2.3:deny,A="b"
            10.0.0.0/8:deny
            10.0.0.0/9:deny
            192.168.0-3.:allow
            1.2.3.4-9:allow
            [2001:db8::1]:deny
            [2001:DB8:0::2]:deny
            [2001:db8::]/32:deny
            joe@1.2.3.4:allow
            joe@[2001:db8::1]:allow
            joe@=host.example:allow
            a@b@1.2.3.4:deny
            =host.example:allow
            =.example:allow
            =:allow
            1000@unix:allow
            unix:deny
            :deny
            """
        #expect(try unreachable(good) == ["10.0.0.0/8:deny"])
        let bad = """
            10:deny
            10.0.0:deny
            *:deny
             10.:deny
            10.1.2.3.:deny
            010.:deny
            256.:deny
            10.1.2.256:deny
            1.2.3.4-1.2.3.9:deny
            1.2.3.9-4:deny
            1.2.3.250-999.:deny
            joe@10.:deny
            joe@=.example:deny
            joe@=:deny
            =Host.Example:deny
            =host.example.:deny
            localhost:deny
            """
        #expect(try unreachable(bad) == bad.split(separator: "\n").map { String($0) })
        #expect(try unreachable("1.:allow\n1.:deny\n1.2.:deny\n") == ["1.:deny"])
    }
}
