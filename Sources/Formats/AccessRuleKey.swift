import Bytes

/// Whether some connection is ever looked up by this key, as `AccessRules` does: an address as programs are
/// told it, a prefix of one, a host's name or a part of it, one of them after a user and `@`, or nothing.
func canMatch(accessRuleKey key: ArraySlice<UInt8>) -> Bool {
    if let at = key.lastIndex(of: UInt8(ascii: "@")) {
        let place = key[(at + 1)...]
        return isWholeAddress(place) || isHost(place, isWhole: true)
    }
    return key.isEmpty || isWholeAddress(key) || isHost(key, isWhole: false)
        || isDottedPrefix(key) || isLengthPrefix(key)
}

/// An address in the very form in which programs are told it, or that of UNIX-domain clients.
private func isWholeAddress(_ text: ArraySlice<UInt8>) -> Bool {
    if text.isSpelled("unix") { return true }
    guard let address = IPAddress(text) else { return false }
    return text.elementsEqual(address.text)
}

/// `=NAME`, and if not `isWhole` also `=.SUFFIX` and `=`. Names come in lower case and without a dot at the
/// end.
private func isHost(_ text: ArraySlice<UInt8>, isWhole: Bool) -> Bool {
    guard text.first == UInt8(ascii: "=") else { return false }
    let name = text.dropFirst()
    guard let first = name.first, let last = name.last else { return !isWhole }
    let dot = UInt8(ascii: ".")
    if last == dot || isWhole && first == dot { return false }
    return name.allSatisfy { byte in
        (33...126).contains(byte) && !(UInt8(ascii: "A")...UInt8(ascii: "Z")).contains(byte)
    }
}

/// One to three numbers, each with its dot.
private func isDottedPrefix(_ text: ArraySlice<UInt8>) -> Bool {
    guard text.last == UInt8(ascii: ".") else { return false }
    let parts = text.dropLast().split(
        separator: UInt8(ascii: "."), omittingEmptySubsequences: false)
    return parts.count <= 3
        && parts.allSatisfy { part in
            guard let number = decimal(part), number <= 255 else { return false }
            return part.count == 1 || part.first != UInt8(ascii: "0")
        }
}

/// `2001:db8::/32`, which only the compiler writes.
private func isLengthPrefix(_ text: ArraySlice<UInt8>) -> Bool {
    guard let slash = text.lastIndex(of: UInt8(ascii: "/")),
        let address = IPAddress(text[..<slash]),
        let length = decimal(text[(slash + 1)...]), address.isIPv6, length <= 128
    else { return false }
    return text.elementsEqual(prefixKey(address, length))
}
