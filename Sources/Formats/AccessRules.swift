import Bytes

// Access rules as tcprules(1) stores them: which keys a connection is looked up by, and what the
// data of the first record found says.

/// A connection, as far as rules can tell it from others.
public struct AccessQuery: Sendable {
    /// The remote address as text, `TCPREMOTEIP`.
    public var address: [UInt8]
    /// The remote host name, if known.
    public var host: [UInt8]?
    /// What the remote ident server said, if it said something.
    public var info: [UInt8]?

    /// A connection from `address`.
    public init(address: [UInt8], host: [UInt8]? = nil, info: [UInt8]? = nil) {
        self.address = address
        self.host = host
        self.info = info
    }
}

/// Where tcprules notes which lengths of IPv6 prefixes have rules: one byte each, longest first, and then
/// the complement of each, since a length that is wrong would hide a rule.
let prefixLengthsKey: [UInt8] = Array("[]/")

/// Finds the rule for a connection: of all keys that fit, the first one that has a record.
public struct AccessRules<Source: CDBSource & ~Copyable>: ~Copyable {
    private var database: CDBReader<Source>
    /// The key that was found by the last look-up.
    public private(set) var key: [UInt8] = []

    /// Reads the header of compiled rules.
    public init(_ source: consuming Source) throws(CDBError<Source.Failure>) {
        database = try CDBReader(source)
        key.reserveCapacity(128)
    }

    /// Reads all of the rules and throws if they are not whole. Returns whether some of them are for the name
    /// of a host or of a user, so that the address alone does not decide.
    public mutating func verify() throws(CDBError<Source.Failure>) -> Bool {
        var dependOnNames = false
        try database.verify { key in
            let names = [UInt8(ascii: "="), UInt8(ascii: "@")]
            if !dependOnNames { dependOnNames = key.contains { names.contains($0) } }
        }
        return dependOnNames
    }

    /// Calls `body` with each thing the connection's rule says, until it returns false. Returns whether
    /// there is a rule; where there is none, everybody is allowed. A rule is looked for under, in this
    /// order: `INFO@IP`, `INFO@=HOST`, `IP`, `=HOST`, the prefixes of the address, longest first, the
    /// suffixes of the host, longest first, `=` for any host, and the empty key.
    public mutating func apply(_ query: AccessQuery, _ body: (AccessRuleItem) -> Bool)
        throws(CDBError<Source.Failure>) -> Bool
    {
        guard let data = try find(query) else { return false }
        guard forEachAccessRuleItem(in: data, body) else { throw .corrupt }
        return true
    }

    /// The data of the connection's rule, valid until the next call.
    private mutating func find(_ query: AccessQuery) throws(CDBError<Source.Failure>)
        -> UnsafeRawBufferPointer?
    {
        if let info = query.info {
            if let data = try find(info, "@", query.address[...]) { return data }
            if let host = query.host, let data = try find(info, "@=", host[...]) { return data }
        }
        if let data = try find(query.address, "", []) { return data }
        if let host = query.host, let data = try find([], "=", host[...]) { return data }
        if let data = try findPrefix(query.address) { return data }
        if let host = query.host {
            for index in host.indices where host[index] == UInt8(ascii: ".") {
                if let data = try find([], "=", host[index...]) { return data }
            }
            if let data = try find([], "=", []) { return data }
        }
        return try find([], "", [])
    }

    private mutating func findPrefix(_ address: [UInt8]) throws(CDBError<Source.Failure>)
        -> UnsafeRawBufferPointer?
    {
        if address.contains(UInt8(ascii: ":")), let address = IPAddress(address[...]) {
            return try findPrefix(address)
        }
        for index in address.indices.reversed() where address[index] == UInt8(ascii: ".") {
            if let data = try find([], "", address[...index]) { return data }
        }
        return nil
    }

    private mutating func findPrefix(_ address: IPAddress) throws(CDBError<Source.Failure>)
        -> UnsafeRawBufferPointer?
    {
        guard let found = try find(prefixLengthsKey, "", []) else { return nil }
        let lengths = Array(found.prefix(found.count / 2))
        guard found.elementsEqual(lengths + lengths.map { ~$0 }) else { throw .corrupt }
        for length in lengths where Int(length) <= address.width {
            let key = prefixKey(address, Int(length))
            if let data = try find(key, "", []) { return data }
        }
        return nil
    }

    private mutating func find(
        _ first: [UInt8], _ separator: StaticString, _ last: ArraySlice<UInt8>
    ) throws(CDBError<Source.Failure>) -> UnsafeRawBufferPointer? {
        key.removeAll(keepingCapacity: true)
        key.append(contentsOf: first)
        key.append(separator)
        key.append(contentsOf: last)
        return try key.withUnsafeBufferPointer {
            (key) throws(CDBError<Source.Failure>) -> UnsafeRawBufferPointer? in
            try database.find(UnsafeRawBufferPointer(key))
        }
    }
}

/// The key of an IPv6 prefix, `2001:db8::/32`.
func prefixKey(_ address: IPAddress, _ length: Int) -> [UInt8] {
    var key = address.prefix(length).text
    key.append(UInt8(ascii: "/"))
    appendDecimal(UInt(length), to: &key)
    return key
}

/// What a record says, in order.
public enum AccessRuleItem {
    /// The connection is denied.
    case deny
    /// An environment variable, `NAME=VALUE`.
    case variable(UnsafeRawBufferPointer)
}

/// Calls `body` with each item of a record's data, until it returns false. Returns false when the data
/// is none that tcprules writes: it must not be taken for permission.
func forEachAccessRuleItem(
    in data: UnsafeRawBufferPointer, _ body: (AccessRuleItem) -> Bool
) -> Bool {
    var rest = data[...]
    while let kind = rest.popFirst() {
        guard let end = rest.firstIndex(of: 0) else { return false }
        let text = UnsafeRawBufferPointer(rebasing: rest[..<end])
        switch kind {
        case UInt8(ascii: "D") where text.isEmpty:
            if !body(.deny) { return true }
        case UInt8(ascii: "+") where text.contains(UInt8(ascii: "=")):
            if !body(.variable(text)) { return true }
        default: return false
        }
        rest = rest[(end + 1)...]
    }
    return true
}
