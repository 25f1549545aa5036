import Bytes
import CLinux

/// Whether any of the name servers of /etc/resolv.conf can be sent to at all. libc's resolver does
/// not take notice when the kernel says that there is no way to a server, and waits for an answer:
/// in a container without a network, five seconds for each look-up.
func canAskNameServers(_ configuration: ByteString = "/etc/resolv.conf") -> Bool {
    configuredNameServers(configuration).contains { hasRoute(to: $0) }
}

/// The addresses in the lines `nameserver ADDRESS` of a file in the form of resolv.conf(5), as text. A
/// file that cannot be read, or has more than 64 KiB, is as good as an empty one.
public func configuredNameServers(_ configuration: ByteString = "/etc/resolv.conf") -> [ByteString]
{
    let text: [UInt8]
    do throws(SystemError) { text = try contents(of: configuration, limit: 1 << 16) } catch {
        return []
    }
    return text.split(separator: UInt8(ascii: "\n")).compactMap { line in
        let words = line.split { $0 == UInt8(ascii: " ") || $0 == UInt8(ascii: "\t") }
        guard words.count > 1, words[0].startIndex == line.startIndex,
            words[0].elementsEqual("nameserver".utf8)
        else { return nil }
        return ByteString(words[1])
    }
}

/// Connecting a datagram socket sends nothing; the kernel only looks for a way.
private func hasRoute(to server: ByteString) -> Bool {
    let found: [SocketAddress]
    do throws(ResolverError) {
        found = try addresses(of: server, port: 53, isAddress: true)
    } catch { return false }
    return found.contains { address in
        do throws(SystemError) {
            try connect(makeDatagramSocket(isIPv6: address.isIPv6), to: address, until: .now)
            return true
        } catch { return false }
    }
}
