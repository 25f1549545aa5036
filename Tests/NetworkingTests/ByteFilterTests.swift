import Networking
import Testing

/// What comes out when the pieces go in one after the other.
func filtered<Filter: ByteFilter>(_ pieces: [[UInt8]], through filter: Filter) -> [UInt8] {
    var filter = filter
    var result: [UInt8] = []
    for piece in pieces {
        // As much room as is promised, and no more.
        var output = [UInt8](repeating: 0xee, count: Filter.outputRoom(piece.count))
        let count = piece.withUnsafeBytes { input in
            output.withUnsafeMutableBytes { filter.apply(input, to: $0) }
        }
        result += output[..<count]
    }
    var output = [UInt8](repeating: 0xee, count: Filter.outputRoom(0))
    let count = output.withUnsafeMutableBytes { filter.finish(to: $0) }
    return result + output[..<count]
}

/// Every string over `alphabet` of up to `length` letters.
func strings(over alphabet: [UInt8], upTo length: Int) -> [[UInt8]] {
    var all: [[UInt8]] = [[]]
    var last = all
    for _ in 0..<length {
        last = last.flatMap { string in alphabet.map { string + [$0] } }
        all += last
    }
    return all
}

private func bytes(_ text: String) -> [UInt8] { Array(text.utf8) }

@Suite("Byte filters")
struct ByteFilterTests {
    /// The filter gives what `expected` says, for every string of the alphabet, and for long ones
    /// where they meet the filters' words of eight bytes, however the string is cut in two.
    private func check<Filter: ByteFilter>(
        _ filter: Filter, alphabet: [UInt8], expected: ([UInt8]) -> [UInt8]
    ) {
        for text in strings(over: alphabet, upTo: 5) {
            #expect(filtered(text.map { [$0] }, through: filter) == expected(text))
            for lead in [0, 3, 7, 8, 11] {
                let long = [UInt8](repeating: UInt8(ascii: "x"), count: lead) + text + bytes("y")
                let wanted = expected(long)
                for cut in lead...long.count {
                    let pieces = [Array(long[..<cut]), Array(long[cut...])]
                    if filtered(pieces, through: filter) != wanted {
                        Issue.record("\(long) cut at \(cut) is not \(wanted)")
                    }
                }
            }
        }
    }

    @Test("addcr puts a CR before every LF, also where one is")
    func inserter() {
        check(CarriageReturnInserter(), alphabet: bytes("a\r\n")) { text in
            text.flatMap { $0 == 10 ? [13, 10] : [$0] }
        }
    }

    @Test("delcr takes one CR out before each LF and keeps all others")
    func remover() {
        check(CarriageReturnRemover(), alphabet: bytes("a\r\n")) { text in
            text.indices.filter { index in
                !(text[index] == 13 && index + 1 < text.count && text[index + 1] == 10)
            }.map { text[$0] }
        }
    }

    @Test("fixcrio puts a CR where none is")
    func fixer() {
        check(CarriageReturnFixer(), alphabet: bytes("a\r\n")) { text in
            text.indices.flatMap { index in
                text[index] == 10 && (index == 0 || text[index - 1] != 13)
                    ? [13, 10] : [text[index]]
            }
        }
    }

    @Test("http@ shows the lines after the first empty one but the empty ones")
    func body() {
        check(HTTPBody(), alphabet: bytes("a\n:")) { text in
            var lines = text.split(separator: 10, omittingEmptySubsequences: false).map(Array.init)
            if lines.last == [] { lines.removeLast() }
            guard let empty = lines.firstIndex(of: []) else { return [] }
            return lines[empty...].filter { $0 != [] }.flatMap { $0 + [10] }
        }
    }

    @Test("Control characters and high bytes are made visible as cat -v does")
    func visible() {
        let cases: [([UInt8], String)] = [
            ([0], "^@"), ([7], "^G"), ([9], "\t"), ([10], "\n"), ([13], "^M"), ([27], "^["),
            ([31], "^_"), ([32], " "), ([126], "~"), ([127], "^?"), ([128], "M-^@"),
            ([137], "M-^I"), ([138], "M-^J"), ([160], "M- "), ([255], "M-^?"), ([254], "M-~"),
        ]
        for (input, output) in cases {
            #expect(filtered([input], through: VisibleText()) == bytes(output))
        }
        for byte in UInt8.min...UInt8.max {
            let alone = filtered([[byte]], through: VisibleText())
            for position in 0..<9 {
                var text = bytes("printable")
                text[position] = byte
                let wanted =
                    bytes("printable").prefix(position) + alone
                    + bytes("printable").dropFirst(position + 1)
                #expect(filtered([text], through: VisibleText()) == Array(wanted))
            }
        }
        check(VisibleText(), alphabet: [1, 65, 200]) { text in
            text.flatMap { filtered([[$0]], through: VisibleText()) }
        }
    }

    @Test("A chain is one filter after the other, to the end")
    func chain() {
        check(
            FilterChain(CarriageReturnRemover(), VisibleText()), alphabet: bytes("a\r\n")
        ) { text in
            filtered([filtered([text], through: CarriageReturnRemover())], through: VisibleText())
        }
        check(FilterChain(CarriageReturnRemover(), HTTPBody()), alphabet: bytes("a\r\n")) { text in
            filtered([filtered([text], through: CarriageReturnRemover())], through: HTTPBody())
        }
    }
}
