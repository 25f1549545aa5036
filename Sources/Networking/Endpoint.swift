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

/// The addresses that `host` means: a literal, or a name for the resolver. Empty and `0` are `unnamed`.
func resolveHost(_ host: ByteString, port: UInt16, unnamed: IPAddress) throws(Failure)
    -> [SocketAddress]
{
    if host.isEmpty || host == "0" { return [SocketAddress(unnamed, port: port)] }
    switch HostLiteral(host) {
    case .addresses(let ips): return ips.map { SocketAddress($0, port: port) }
    case .none: throw Failure("no IP address for \(host)")
    case .name: break
    }
    do throws(ResolverError) {
        return try addresses(of: host, port: port)
    } catch {
        switch error {
        case .notFound: throw Failure("no IP address for \(host)")
        case .temporary(let errno):
            throw Failure("temporarily unable to figure out IP address for \(host)", errno)
        }
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
