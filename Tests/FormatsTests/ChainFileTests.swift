import Bytes
import Formats
import Testing

@Suite("Files of chain") struct ChainFileTests {
    private let variables: [ByteString: ByteString] = [
        "A": "one", "EMPTY": "", "SPACES": " a  b ", "SPECIAL": "${A} \"'\\*#", "_x1": "low",
        "0": "./run", "1": "first", "12": "twelfth",
    ]

    private func command(_ text: ByteString) throws -> [ByteString] {
        try ChainFile(Array(text.bytes)).command { variables[$0] }
    }

    private func mistake(_ content: [UInt8]) -> ChainFile.Mistake? {
        do throws(ChainFile.Mistake) {
            _ = try ChainFile(content).command { variables[$0] }
            return nil
        } catch { return error }
    }

    @Test(
        "Words",
        arguments: [
            ("a", ["a"]), ("a b", ["a", "b"]), ("  a\t\tb  ", ["a", "b"]),
            ("a\nb\n\n c\n", ["a", "b", "c"]), ("a \\\n b", ["a", "b"]), ("a\\\nb", ["ab"]),
            ("\\\na\\\n", ["a"]), ("a=b", nil), ("env A=b c", ["env", "A=b", "c"]),
            (
                "a {} b{c,d} e]f !g %h i@j:k,l+m^n",
                [
                    "a", "{}", "b{c,d}", "e]f", "!g", "%h", "i@j:k,l+m^n",
                ]
            ), ("a b~ ~", nil), ("a b~", ["a", "b~"]), ("a\u{e9} b", ["a\u{e9}", "b"]),
        ] as [(ByteString, [ByteString]?)])
    func words(text: ByteString, expected: [ByteString]?) throws {
        guard let expected else {
            #expect(mistake(Array(text.bytes)) != nil)
            return
        }
        #expect(try command(text) == expected)
    }

    @Test(
        "Comments begin where a word could",
        arguments: [
            ("#!/usr/bin/chain\na", ["a"]), ("# x\n  # y\na # b\nc", ["a", "c"]),
            ("a#b", ["a#b"]), ("a\\#b", ["a#b"]), ("a \\#b", ["a", "#b"]), ("a '#b'", ["a", "#b"]),
            ("a \"\"#b", ["a", "#b"]), ("a #b \\\nc", ["a", "c"]), ("a # 'b", ["a"]),
        ] as [(ByteString, [ByteString])])
    func comments(text: ByteString, expected: [ByteString]) throws {
        #expect(try command(text) == expected)
    }

    @Test(
        "Quotes",
        arguments: [
            ("a ''", ["a", ""]), ("a \"\"", ["a", ""]), ("a ''''", ["a", ""]),
            ("a 'b c'd\"e f\"", ["a", "b cde f"]), ("a 'b\nc'", ["a", "b\nc"]),
            ("a \"b\nc\"", ["a", "b\nc"]), ("a 'b\\'", ["a", "b\\"]),
            ("a '\"' \"'\"", ["a", "\"", "'"]), ("a '${A}$(b)`c`*'", ["a", "${A}$(b)`c`*"]),
            ("a \"b\\\"c\\\\d\\$e\\`f\"", ["a", "b\"c\\d$e`f"]), ("a \"b\\nc\"", ["a", "b\\nc"]),
            ("a \"b\\\nc\"", ["a", "bc"]), ("a \"|&;<>()*?[~#\"", ["a", "|&;<>()*?[~#"]),
            (
                "a \\|\\&\\;\\<\\>\\(\\)\\*\\?\\[\\~\\`\\$\\'\\\"\\\\\\ b",
                [
                    "a", "|&;<>()*?[~`$'\"\\ b",
                ]
            ), ("a \\\tb", ["a", "\tb"]), ("'a b' c", ["a b", "c"]), ("'exec' a", ["exec", "a"]),
            ("'a'=b c", ["a=b", "c"]), ("\"a\"\"b\"", ["ab"]),
        ] as [(ByteString, [ByteString])])
    func quotes(text: ByteString, expected: [ByteString]) throws {
        #expect(try command(text) == expected)
    }

    @Test(
        "What variables have is never looked at again",
        arguments: [
            ("a ${A}", ["a", "one"]), ("a x${A}y${A}", ["a", "xoneyone"]),
            ("a \"x${A}\"", ["a", "xone"]), ("a ${EMPTY}", ["a", ""]),
            ("a ${EMPTY}b", ["a", "b"]), ("a ${SPACES}", ["a", " a  b "]),
            ("a ${SPECIAL}", ["a", "${A} \"'\\*#"]), ("a \"${SPECIAL}\"", ["a", "${A} \"'\\*#"]),
            ("${A} ${_x1}", ["one", "low"]),
            ("a ${0} ${1} ${12}", ["a", "./run", "first", "twelfth"]),
            ("a \\${A}", nil), ("a \\$\\{A}", ["a", "${A}"]), ("a ${A}=${A}", ["a", "one=one"]),
        ] as [(ByteString, [ByteString]?)])
    func values(text: ByteString, expected: [ByteString]?) throws {
        // Outside quotes a shell takes \${A} as it stands, and so does this.
        #expect(try command(text) == expected ?? ["a", "${A}"])
    }

    @Test(
        "What is wrong, and in which line",
        arguments: [
            ("", 0, "there is no command in it"), ("# a\n\n", 0, "there is no command in it"),
            ("a\n'b\nc", 2, "a quote is not closed"), ("a\n\"b\nc", 2, "a quote is not closed"),
            ("a \"b\\\"", 1, "a quote is not closed"),
            ("a\nb\\", 2, "nothing follows the backslash"),
            ("a\r\nb", 1, "the line ends in CR LF"), ("a \r\nb", 1, "the line ends in CR LF"),
            ("a\n\\\r\nb", 2, "the line ends in CR LF"), ("a\nb\r", 2, "the line ends in CR LF"),
            ("a\nb\n${MISSING}", 3, "${MISSING} is not set"),
            ("a 'b\nc' ${2}", 2, "there is no argument ${2}"),
            ("a \\\n$A", 2, "a variable stands in braces: ${A}"),
            ("a \"$A\"", 1, "a variable stands in braces: ${A}"),
            ("a $", 1, "$ begins no ${NAME}: quote it with ' or \\"),
            ("a \"$(b)\"", 1, "$ begins no ${NAME}: quote it with ' or \\"),
            ("a $@", 1, "$ begins no ${NAME}: quote it with ' or \\"),
            ("a ${", 1, "only a variable's name or a number can stand between ${ and }"),
            ("a ${}", 1, "only a variable's name or a number can stand between ${ and }"),
            (
                "a ${A:-b}", 1,
                "only a variable's name or a number can stand between ${ and }"
            ),
            ("a ${A", 1, "only a variable's name or a number can stand between ${ and }"),
            ("a ${1x}", 1, "only a variable's name or a number can stand between ${ and }"),
            ("a ${A-}", 1, "only a variable's name or a number can stand between ${ and }"),
            ("a\n > b", 2, "> redirects nothing here: use redirect, or quote it"),
            ("a 2>&1", 1, "> redirects nothing here: use redirect, or quote it"),
            ("a <b", 1, "< redirects nothing here: use redirect, or quote it"),
            ("a | b", 1, "| joins no commands here: quote it, or use sh"),
            ("a && b", 1, "& joins no commands here: quote it, or use sh"),
            ("a; b", 1, "; joins no commands here: quote it, or use sh"),
            ("(a)", 1, "( joins no commands here: quote it, or use sh"),
            ("a b)", 1, ") joins no commands here: quote it, or use sh"),
            ("a `b`", 1, "` joins no commands here: quote it, or use sh"),
            ("a \"`b`\"", 1, "` runs no command here: quote it with ' or \\"),
            ("a *", 1, "* finds no files here: quote it, or use sh"),
            ("a b?", 1, "? finds no files here: quote it, or use sh"),
            ("a [b]", 1, "[ finds no files here: quote it, or use sh"),
            ("a ~/b", 1, "~ is no home directory here: quote it, or use ${HOME}"),
            ("\n exec a", 2, "leave out \"exec\": the first word is the program"),
            ("A=b c", 1, "a variable is not set here: use env or envdir"),
            ("'' a", 0, "the name of the program is empty"),
        ] as [(ByteString, Int, ByteString)])
    func mistakes(text: ByteString, line: Int, expected: ByteString) {
        let found = mistake(Array(text.bytes))
        #expect(found?.line == line)
        #expect(found?.text == expected)
    }

    @Test("A NUL is a mistake, wherever it is", arguments: ["a\nx", "a\n'x", "a\n\"x", "a\n\\x"])
    func nulBytes(text: String) {
        let content = text.utf8.map { $0 == UInt8(ascii: "x") ? 0 : $0 } + Array("'\" b".utf8)
        #expect(mistake(content)?.line == 2)
        #expect(mistake(content)?.text == "there is a NUL byte in the line")
        // In a comment nobody reads it.
        #expect(mistake(Array("a #".utf8) + [0]) == nil)
    }

    @Test("Every byte can be quoted in three ways")
    func everyByte() throws {
        for byte in UInt8(1)...255 {
            let word = ByteString([byte])
            let isQuote = byte == UInt8(ascii: "'")
            if !isQuote { #expect(try command("a '\(word)'") == ["a", word]) }
            let isSpecial = Array("\"\\$`".utf8).contains(byte)
            let inside: ByteString = isSpecial ? "\\\(word)" : word
            #expect(try command("a \"\(inside)\"") == ["a", word])
            if byte == 10 || byte == 13 { continue }
            #expect(try command("a \\\(word)") == ["a", word])
        }
    }

    @Test("A carriage return that ends no line is a byte like others")
    func carriageReturns() throws {
        #expect(try command("a\rb '\r\n'") == ["a\rb", "\r\n"])
    }
}
