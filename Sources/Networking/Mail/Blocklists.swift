import Bytes
import Formats
import Linux

/// Decides whether rblsmtpd(1) lets a client's mail in: by $RBLSMTPD, then by lists in the DNS, asked one
/// after the other until one of them knows the client.
public struct Blocklists {
    private enum Verdict {
        case undecided
        case accepted
        /// To be tried again later: 451.
        case deferred
        /// Not to be tried again: 553.
        case bounced
    }

    private static let textLimit = 200
    private let client: ByteString
    private let reversed: [UInt8]
    private var verdict = Verdict.undecided
    private var text: [UInt8] = []
    private var anyLookUpFailed = false

    /// `-b`: whether a listed client's mail bounces.
    public var bounces = false
    /// `-c`: whether a client is taken for listed when that cannot be found out.
    public var failsClosed = false

    /// For the client with the address `client`. `preset` is $RBLSMTPD: nothing lets the mail in,
    /// -TEXT bounces it, TEXT defers it.
    public init(client: ByteString, preset: ByteString?) {
        self.client = client
        reversed = Blocklists.reversed(client)
        guard let preset else { return }
        if preset.isEmpty {
            verdict = .accepted
        } else if preset[0] == UInt8(ascii: "-") {
            verdict = .bounced
            text = Array(preset.bytes.dropFirst())
        } else {
            verdict = .deferred
            text = Array(preset.bytes)
        }
    }

    /// `-r`: asks a list of bad clients. The text records of a listed one are what it is told. `BASE:TEXT`
    /// is a list with address records, whose clients are told TEXT, `%IP%` in it being the client's.
    public mutating func consult(_ list: ByteString, _ dns: inout DNSClient) {
        consult(list) { (name, type) throws(LookUpError) in try dns.records(name, type) }
    }

    /// `-a`: asks a list of good clients, with address records.
    public mutating func consultExceptions(_ list: ByteString, _ dns: inout DNSClient) {
        consultExceptions(list) { (name, type) throws(LookUpError) in try dns.records(name, type) }
    }

    /// The code and the text that the client is to be told; nil if it is let in.
    public var refusal: [UInt8]? {
        let code: StaticString
        switch verdict {
        case .undecided, .accepted: return nil
        case .deferred: code = "451 "
        // An error that passes must not make mail bounce.
        case .bounced: code = anyLookUpFailed ? "451 " : "553 "
        }
        var message: [UInt8] = []
        message.append(code)
        message += text.prefix(Blocklists.textLimit)
        return message.map { (32...126).contains($0) ? $0 : UInt8(ascii: "?") }
    }

    // MARK: - With any name server

    mutating func consult(
        _ list: ByteString,
        _ records: (_ name: [UInt8], _ type: DNSRecordType) throws(LookUpError)
            -> [ArraySlice<UInt8>]
    ) {
        if verdict != .undecided { return }
        let colon = list.bytes.firstIndex(of: UInt8(ascii: ":"))
        let base = list.bytes[..<(colon ?? list.bytes.endIndex)]
        let told = colon.map { list.bytes[($0 + 1)...] }
        do throws(LookUpError) {
            let name = reversed + base
            if let told {
                let isListed = try Blocklists.isListed(try records(name, .address))
                text = isListed ? filledIn(told) : []
            } else {
                text = try records(name, .text).flatMap { joinedText($0) }
                if !text.isEmpty { try checkRefusal(name, records) }
            }
            if !text.isEmpty { verdict = bounces ? .bounced : .deferred }
        } catch {
            anyLookUpFailed = true
            if !failsClosed { return }
            text = Array("temporary RBL lookup error")
            verdict = .deferred
        }
    }

    mutating func consultExceptions(
        _ list: ByteString,
        _ records: (_ name: [UInt8], _ type: DNSRecordType) throws(LookUpError)
            -> [ArraySlice<UInt8>]
    ) {
        if verdict != .undecided { return }
        do throws(LookUpError) {
            let found = try records(reversed + list.bytes, .address)
            // What a list of good clients answers to who asks too often.
            if found.contains(where: { $0.elementsEqual([127, 0, 0, 255]) }) {
                throw LookUpError()
            }
            if try Blocklists.isListed(found) { verdict = .accepted }
        } catch {
            anyLookUpFailed = true
            if !failsClosed { verdict = .accepted }
        }
    }

    // MARK: - Answers

    /// Whether a list's address records say that it has the client. Throws if they say something else:
    /// 127.255.255.0/24 is for errors, of a list that does not answer this name server, say, and what is not
    /// in 127.0.0.0/8 comes from no list at all (RFC 5782).
    private static func isListed(_ records: [ArraySlice<UInt8>]) throws(LookUpError) -> Bool {
        let addresses = records.filter { $0.count == 4 }.map { Array($0) }
        for address in addresses
        where address[0] != 127 || address[1...2].elementsEqual([255, 255]) {
            throw LookUpError()
        }
        return !addresses.isEmpty
    }

    /// A list that refuses to answer may say why in a text, as if every client were listed. Lists without
    /// address records are believed.
    private func checkRefusal(
        _ name: [UInt8],
        _ records: (_ name: [UInt8], _ type: DNSRecordType) throws(LookUpError)
            -> [ArraySlice<UInt8>]
    ) throws(LookUpError) {
        let addresses: [ArraySlice<UInt8>]
        do throws(LookUpError) { addresses = try records(name, .address) } catch { return }
        _ = try Blocklists.isListed(addresses)
    }

    // MARK: - Text

    private func filledIn(_ told: ArraySlice<UInt8>) -> [UInt8] {
        let placeholder = "%IP%" as StaticString
        var text: [UInt8] = []
        var rest = told
        while let byte = rest.first {
            if rest.begins(with: placeholder) {
                text += client.bytes
                rest = rest.dropFirst(placeholder.bytes.count)
            } else {
                text.append(byte)
                rest = rest.dropFirst()
            }
        }
        return text
    }

    /// The address as lists name it, with a dot at the end: its numbers from the last to the first, or,
    /// for IPv6, its hexadecimal digits (RFC 5782).
    static func reversed(_ client: ByteString) -> [UInt8] {
        let dot = UInt8(ascii: ".")
        if client.contains(UInt8(ascii: ":")), let address = IPAddress(client.bytes), address.isIPv6
        {
            return [address.low, address.high].flatMap { half in
                stride(from: 0, to: 64, by: 4).flatMap { shift in
                    [hexadecimalCharacter(UInt8(half >> UInt64(shift) & 15)), dot]
                }
            }
        }
        let parts = client.bytes.split(separator: dot, omittingEmptySubsequences: false)
        return client.isEmpty ? [] : parts.reversed().flatMap { $0 + [dot] }
    }
}
