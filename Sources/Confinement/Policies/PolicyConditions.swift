import Bytes
import Commands
import Linux

// The part of a policy's line after the colon: conditions, values and actions.
extension PolicyLine {
    /// `arg0 == 1 && arg1 & 2 || …`: alternatives of comparisons that all hold.
    mutating func condition() throws(Failure) -> [[Comparison]] {
        var alternatives: [[Comparison]] = []
        repeat {
            var comparisons: [Comparison] = []
            repeat { comparisons.append(try comparison()) } while take("&&")
            alternatives.append(comparisons)
        } while take("||")
        return alternatives
    }

    /// Whether a condition comes next.
    var startsCondition: Bool { peek.map { PolicyLine.argument($0) != nil } ?? false }

    private static func argument(_ word: ByteString) -> Int? {
        guard word.hasPrefix("arg"), word.count == 4 else { return nil }
        let digit = Int(word[3]) - Int(UInt8(ascii: "0"))
        return (0...5).contains(digit) ? digit : nil
    }

    private mutating func comparison() throws(Failure) -> Comparison {
        guard let argument = peek.flatMap(PolicyLine.argument) else { throw unexpected() }
        _ = try take()
        guard let relation = PolicyLine.relation(try take()) else {
            throw place.mistake("arg\(argument) wants ==, !=, <, <=, >, >=, & or in")
        }
        return Comparison(argument: argument, relation: relation, value: try value())
    }

    private static func relation(_ word: ByteString) -> Comparison.Relation? {
        let relations: [(StaticString, Comparison.Relation)] = [
            ("==", .equal), ("!=", .notEqual), ("<", .less), ("<=", .lessOrEqual),
            (">", .greater), (">=", .greaterOrEqual), ("&", .anyBit), ("in", .onlyBits),
        ]
        return relations.first { word.isSpelled($0.0) }?.1
    }

    /// How many parentheses may be open at once.
    private static let depthLimit = 100

    /// Constants joined by `|`; `depth` parentheses are open.
    private mutating func value(depth: Int = 0) throws(Failure) -> UInt64 {
        var value = try constant(depth: depth)
        while take("|") { value |= try constant(depth: depth) }
        return value
    }

    private mutating func constant(depth: Int) throws(Failure) -> UInt64 {
        let isComplement = take("~")
        var value: UInt64
        if take("(") {
            guard depth < PolicyLine.depthLimit else {
                throw place.mistake("too many parentheses within each other")
            }
            value = try self.value(depth: depth + 1)
            try expect(")")
        } else {
            value = try number()
        }
        return isComplement ? ~value : value
    }

    /// A number as strtoul(3) reads it with base 0, or a constant's name.
    mutating func number() throws(Failure) -> UInt64 {
        let word = try take()
        if let value = parseNumber(word) ?? namedConstant(word) { return value }
        throw place.mistake("unknown value \(word)")
    }

    /// `allow`, `1`, `kill`, `return EPERM` and their like.
    mutating func action() throws(Failure) -> FilterAction {
        let word = try take()
        if word == "return" {
            let word = try take()
            guard let errno = errno(word) else { throw place.mistake("no error number: \(word)") }
            return .fail(errno)
        }
        let actions: [(StaticString, FilterAction)] = [
            ("allow", .allow), ("1", .allow), ("kill", .killProcess),
            ("kill-process", .killProcess), ("kill-thread", .killThread), ("trap", .trap),
            ("log", .log),
        ]
        if let known = actions.first(where: { word.isSpelled($0.0) }) { return known.1 }
        if word == "trace" || word == "user-notify" {
            throw place.mistake("\(word) needs a process that listens, and there is none")
        }
        throw place.mistake("unknown action \(word)")
    }
}

/// An error number by its name or in C's notation, from 0 to the kernel's highest, 4095; nil for
/// anything else.
func errno(_ word: ByteString) -> Errno? {
    if let errno = errorNumber(word) { return errno }
    guard let number = parseNumber(word), number <= 4095 else { return nil }
    return Errno(Int32(number))
}

/// A number in C's notation, perhaps negative; nil when it is none or does not fit in 64 bits.
func parseNumber(_ text: ByteString) -> UInt64? {
    var digits = text.bytes
    let isNegative = digits.first == UInt8(ascii: "-")
    if isNegative { digits = digits.dropFirst() }
    var base: UInt64 = 10
    if digits.first == UInt8(ascii: "0") && digits.count > 1 {
        digits = digits.dropFirst()
        base = 8
        if digits.first == UInt8(ascii: "x") || digits.first == UInt8(ascii: "X") {
            digits = digits.dropFirst()
            base = 16
        }
    }
    if digits.isEmpty { return nil }
    var value: UInt64 = 0
    for byte in digits {
        guard let digit = hexadecimalDigit(byte).map({ UInt64($0) }), digit < base else {
            return nil
        }
        let (product, tooBig) = value.multipliedReportingOverflow(by: base)
        let (sum, stillTooBig) = product.addingReportingOverflow(digit)
        if tooBig || stillTooBig { return nil }
        value = sum
    }
    if !isNegative { return value }
    return value <= 1 << 63 ? 0 &- value : nil
}
