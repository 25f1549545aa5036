import Bytes
import CLinux

// libc's resolver: /etc/hosts, then the servers of /etc/resolv.conf. It blocks, for as long as those
// servers take.

/// A look-up that gave no answer.
public enum ResolverError: Error, Equatable {
    /// There is no such name, or it has no address.
    case notFound
    /// It may be there: the servers could not be asked, or something ran out.
    case temporary(Errno)
}

/// One of the two kinds of IP addresses.
public enum AddressFamily: Sendable, CaseIterable {
    /// Addresses of 32 bits, A records.
    case ipv4
    /// Addresses of 128 bits, AAAA records.
    case ipv6
}

/// The TCP addresses of a host, in the resolver's order, all with `port`. Only those of `family` are asked
/// for, if one is given: where the answer for one family is broken, the other's is not lost. The name may
/// be an address; with `isAddress` it must be one, and nobody is asked. getaddrinfo(3).
public func addresses(
    of host: ByteString, _ family: AddressFamily? = nil, port: UInt16, isAddress: Bool = false
) throws(ResolverError) -> [SocketAddress] {
    var hints = addrinfo()
    switch family {
    case nil: hints.ai_family = AF_UNSPEC
    case .ipv4: hints.ai_family = AF_INET
    case .ipv6: hints.ai_family = AF_INET6
    }
    hints.ai_flags = isAddress ? AI_NUMERICHOST : 0
    hints.ai_socktype = Int32(CL_SOCK_STREAM)
    var list: UnsafeMutablePointer<addrinfo>?
    let result = host.withCString { getaddrinfo($0, nil, &hints, &list) }
    if result != 0 { throw explain(result) }
    defer { freeaddrinfo(list) }
    var found: [SocketAddress] = []
    var next = list
    while let entry = next?.pointee {
        if let raw = entry.ai_addr,
            var address = SocketAddress(
                UnsafeRawBufferPointer(start: raw, count: Int(entry.ai_addrlen)))
        {
            address.port = port
            found.append(address)
        }
        next = entry.ai_next
    }
    return found
}

/// The name of the host at an address. When no name server can be reached, it is not waited for.
/// getnameinfo(3).
public func hostName(of address: SocketAddress) throws(ResolverError) -> ByteString {
    if !canAskNameServers() { throw .temporary(Errno(ENETUNREACH)) }
    // No name is longer: NI_MAXHOST.
    return try withUnsafeTemporaryAllocation(of: CChar.self, capacity: 1025) {
        (name) throws(ResolverError) -> ByteString in
        let base = name.baseAddress.unsafelyUnwrapped
        base.initialize(repeating: 0, count: name.count)
        let result = address.withRaw {
            getnameinfo($0, $1, base, 1025, nil, 0, Int32(NI_NAMEREQD))
        }
        if result != 0 { throw explain(result) }
        return ByteString(
            ByteString(cString: base).bytes.lazy.map { byte in
                (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains(byte) ? byte | 0x20 : byte
            })
    }
}

private func explain(_ result: Int32) -> ResolverError {
    switch result {
    case EAI_AGAIN, EAI_FAIL: .temporary(.timedOut)
    case EAI_MEMORY: .temporary(.noMemory)
    case EAI_SYSTEM: .temporary(.last)
    default: .notFound
    }
}

/// The port of a TCP service in /etc/services. getservbyname(3).
public func servicePort(_ name: ByteString) -> UInt16? {
    guard let entry = name.withCString({ getservbyname($0, "tcp") }) else { return nil }
    return UInt16(bigEndian: UInt16(truncatingIfNeeded: entry.pointee.s_port))
}
