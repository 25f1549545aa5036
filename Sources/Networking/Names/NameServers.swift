import Bytes
import Formats
import Linux

/// Which name servers to ask.
enum NameServers {
    /// Those of `$DNSCACHEIP`, IPv4 addresses joined by dots; else those of /etc/resolv.conf; else this
    /// host's.
    static func configured(_ environment: Environment) -> [IPAddress] {
        if let list = environment["DNSCACHEIP"] {
            let servers = parse(cacheList: list.bytes)
            if !servers.isEmpty { return servers }
        }
        let servers = configuredNameServers().compactMap { IPAddress($0.bytes) }
        return servers.isEmpty ? [IPAddress(ipv4: 0x7f00_0001)] : servers
    }

    static func parse(cacheList text: ArraySlice<UInt8>) -> [IPAddress] {
        let dot = UInt8(ascii: ".")
        let numbers = text.split(separator: dot)
        return stride(from: 0, through: numbers.count - 4, by: 4).prefix(16).compactMap { first in
            IPAddress(ArraySlice(numbers[first..<first + 4].joined(separator: [dot])))
        }
    }
}
