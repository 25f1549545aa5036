import Bytes
import Commands
import Formats
import Linux

extension SocketAddress {
    /// The address alone; an IPv4-mapped one is IPv4.
    var ip: IPAddress {
        isIPv6
            ? IPAddress(high: high, low: low)
            : IPAddress(ipv4: UInt32(truncatingIfNeeded: low))
    }

    /// An address with a port, on no particular interface.
    init(_ ip: IPAddress, port: UInt16) {
        self.init(high: ip.high, low: ip.low, isIPv6: ip.isIPv6, port: port)
    }
}

/// The port that a number or the name of a service means; numbers wrap at 65536.
func resolvePort(_ text: ByteString) throws(Failure) -> UInt16 {
    let (number, length) = scanDecimal(text.bytes)
    if length == text.count { return UInt16(truncatingIfNeeded: number) }
    guard let port = servicePort(text) else {
        throw Failure("unable to figure out port number for \(text)")
    }
    return port
}

/// The addresses that a host's name or literal means, one family after the other: each is asked for when
/// it is wanted, so that a name server that has no good answer for the one does no harm to the other.
struct HostAddresses {
    private let host: ByteString
    private let port: UInt16
    private var literal: [SocketAddress]?
    private var families: [AddressFamily]
    private var hasFound = false
    private var failure: Errno?

    /// The addresses of `host` with `port`, IPv4 first, of `families`. Empty and `0` are `unnamed`.
    init(
        _ host: ByteString, port: UInt16, unnamed: IPAddress,
        _ families: [AddressFamily] = AddressFamily.allCases
    ) throws(Failure) {
        self.host = host
        self.port = port
        self.families = families
        switch host.isEmpty || host == "0" ? .addresses([unnamed]) : HostLiteral(host) {
        case .addresses(let ips):
            literal = ips.filter { families.contains($0.isIPv6 ? .ipv6 : .ipv4) }
                .map { SocketAddress($0, port: port) }
        case .none: throw Failure("no IP address for \(host)")
        case .name where HostAddresses.isTooLong(host): throw temporary(.protocolError)
        case .name: break
        }
    }

    /// The addresses of the next family that has some; nil when there is none any more. Throws if no
    /// family had any.
    mutating func next() throws(Failure) -> [SocketAddress]? {
        if let addresses = literal, !hasFound {
            families = []
            hasFound = !addresses.isEmpty
            if hasFound { return addresses }
        }
        while !families.isEmpty {
            if let found = ask(families.removeFirst()) {
                hasFound = true
                return found
            }
        }
        if hasFound { return nil }
        if let failure { throw temporary(failure) }
        throw Failure("no IP address for \(host)")
    }

    private mutating func ask(_ family: AddressFamily) -> [SocketAddress]? {
        do throws(ResolverError) {
            let found = try addresses(of: host, family, port: port)
            return found.isEmpty ? nil : found
        } catch {
            if case .temporary(let errno) = error { failure = failure ?? errno }
            return nil
        }
    }

    private func temporary(_ errno: Errno) -> Failure {
        Failure("temporarily unable to figure out IP address for \(host)", errno)
    }

    /// Whether a part between dots has more than 63 bytes, or all of it more than 255 in a query: no name
    /// server can be asked for that.
    private static func isTooLong(_ name: ByteString) -> Bool {
        let labels = name.bytes.split(separator: UInt8(ascii: "."))
        return labels.contains { $0.count > 63 } || labels.reduce(1) { $0 + $1.count + 1 } > 255
    }
}

/// What the user may write for an address.
enum HostLiteral {
    /// An address, or several IPv4 ones joined by dots.
    case addresses([IPAddress])
    /// Numbers and dots that are no address.
    case none
    /// Something to look up.
    case name

    init(_ host: ByteString) {
        let open = UInt8(ascii: "[")
        let close = UInt8(ascii: "]")
        if host.contains(UInt8(ascii: ":")) {
            let text = host.bytes.filter { $0 != open && $0 != close }
            self = IPAddress(text[...]).map { .addresses([$0]) } ?? .name
            return
        }
        // dns_ip4 of ucspi-tcp: brackets mean nothing, numbers wrap at 256, whole fours count.
        var octets: [UInt8] = []
        var octet: UInt8 = 0
        for byte in host.bytes where byte != open && byte != close {
            if byte == UInt8(ascii: ".") {
                octets.append(octet)
                octet = 0
            } else if case let digit = byte &- UInt8(ascii: "0"), digit < 10 {
                octet = octet &* 10 &+ digit
            } else {
                self = .name
                return
            }
        }
        octets.append(octet)
        guard octets.count >= 4 else {
            self = .none
            return
        }
        self = .addresses(
            stride(from: 0, to: octets.count - 3, by: 4).map { first in
                IPAddress(ipv4: octets[first..<first + 4].reduce(0) { $0 << 8 | UInt32($1) })
            })
    }
}
