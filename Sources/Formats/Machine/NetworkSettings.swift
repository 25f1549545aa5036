import Bytes

/// How the machine is on the network: what `ip=` of the kernel's command line or /etc/network/interfaces say.
public struct NetworkSettings: Equatable, Sendable {
    /// An address with the length of its network.
    public struct Address: Equatable, Sendable {
        /// The address.
        public var address: IPAddress
        /// How many bits of it are the network's.
        public var length: Int

        /// Reads `192.0.2.1/24`; without a length it is that of `mask`, or the whole address.
        public init?(_ text: ByteString, mask: ByteString? = nil) {
            let parts = text.cut(at: UInt8(ascii: "/"))
            guard let address = IPAddress((parts?.before ?? text).bytes) else { return nil }
            self.address = address
            guard let length = parts?.after ?? mask else {
                self.length = address.width
                return
            }
            if let bits = parseDecimal(length, within: 0...address.width) {
                self.length = bits
            } else if let mask = IPAddress(length.bytes), !mask.isIPv6, !address.isIPv6 {
                let bits = UInt32(truncatingIfNeeded: mask.low)
                self.length = (~bits).leadingZeroBitCount
                guard mask == IPAddress(ipv4: ~0).prefix(self.length) else { return nil }
            } else {
                return nil
            }
        }

        /// An address of these parts.
        public init(_ address: IPAddress, length: Int) {
            self.address = address
            self.length = length
        }

        /// The length that an IPv4 address had before networks had masks, which the kernel still takes for granted.
        static func classfulLength(of address: IPAddress) -> Int {
            if address.isIPv6 { return 64 }
            switch address.low >> 24 {
            case 0..<128: return 8
            case 128..<192: return 16
            default: return 24
            }
        }

        /// Whether `other` is in its network.
        public func contains(_ other: IPAddress) -> Bool {
            other.isIPv6 == address.isIPv6 && other.prefix(length) == address.prefix(length)
        }
    }

    /// An interface.
    public struct Interface: Equatable, Sendable {
        /// Its name; empty for the first one that is no loopback.
        public var name: ByteString
        /// Its addresses.
        public var addresses: [Address] = []
        /// Where everything else is sent.
        public var gateways: [IPAddress] = []
        /// The largest packet, in bytes, if it is to be another than the kernel's choice.
        public var packetSize: Int?

        /// An interface without an address.
        public init(name: ByteString) { self.name = name }
    }

    /// The interfaces to bring up, in order.
    public var interfaces: [Interface] = []
    /// The interfaces whose address a DHCP client is to ask for: they only come up.
    public var dynamic: [ByteString] = []
    /// The machine's name, if it is given here.
    public var hostName: ByteString?
    /// The servers for /etc/resolv.conf.
    public var nameServers: [IPAddress] = []
    /// The domains to search.
    public var searchDomains: [ByteString] = []

    /// No network.
    public init() {}

    /// /etc/resolv.conf; nil when there is nothing to write there.
    public var resolverConfiguration: [UInt8]? {
        if nameServers.isEmpty { return nil }
        var text = ByteString()
        if !searchDomains.isEmpty {
            text.append("search \(ByteString(searchDomains, joinedBy: " "))\n" as ByteString)
        }
        for server in nameServers {
            text.append("nameserver \(ByteString(server.text))\n" as ByteString)
        }
        return Array(text.bytes)
    }

    // MARK: - ip=

    /// Adds what one `ip=` says, in the kernel's form
    /// `client:server:gateway:mask:name:device:method:dns:dns`, where IPv6 addresses stand in brackets; `dhcp`; or
    /// `device:dhcp`. Returns false when that is no such thing.
    public mutating func add(kernelParameter text: ByteString) -> Bool {
        if text == "off" || text == "none" { return true }
        let fields = NetworkSettings.fields(of: text)
        func field(_ index: Int) -> ByteString? {
            index < fields.count && !fields[index].isEmpty ? fields[index] : nil
        }
        if fields.count == 1, isMethod(fields[0]) {
            dynamic.append("")
            return true
        }
        if fields.count == 2, isMethod(fields[1]) {
            dynamic.append(fields[0])
            return true
        }
        var interface = Interface(name: field(5) ?? "")
        if let name = field(4) { hostName = HostName.isValid(name) ? name : hostName }
        for index in 7...8 {
            if let text = field(index) {
                guard let server = IPAddress(text.bytes) else { return false }
                nameServers.append(server)
            }
        }
        guard let client = field(0) else {
            guard let method = field(6) else { return false }
            if isMethod(method) { dynamic.append(interface.name) }
            return isMethod(method) || method == "off" || method == "none"
        }
        guard var address = Address(client, mask: field(3)) else { return false }
        if field(3) == nil, !client.contains(UInt8(ascii: "/")) {
            address.length = Address.classfulLength(of: address.address)
        }
        interface.addresses.append(address)
        if let text = field(2) {
            guard let gateway = IPAddress(text.bytes) else { return false }
            interface.gateways.append(gateway)
        }
        interfaces.append(interface)
        return true
    }

    private func isMethod(_ word: ByteString) -> Bool {
        switch word {
        case "dhcp", "on", "any", "both", "bootp", "rarp": true
        default: false
        }
    }

    /// The parts between colons that are not in brackets.
    private static func fields(of text: ByteString) -> [ByteString] {
        var fields: [ByteString] = []
        var field: [UInt8] = []
        var isBracketed = false
        for byte in text.bytes {
            switch byte {
            case UInt8(ascii: "["): isBracketed = true
            case UInt8(ascii: "]"): isBracketed = false
            case UInt8(ascii: ":") where !isBracketed:
                fields.append(ByteString(field))
                field = []
            default: field.append(byte)
            }
        }
        return fields + [ByteString(field)]
    }
}

// MARK: - /etc/network/interfaces

extension NetworkSettings {
    /// What a file says that is not understood.
    public struct Complaint: Equatable, Sendable {
        /// Where, counted from one.
        public let line: Int
        /// What.
        public let text: ByteString
    }

    /// Adds what /etc/network/interfaces says, of interfaces(5) the part that needs no script: `auto`, `iface` with the
    /// methods static, dhcp, loopback, manual and auto, and the options address, netmask, gateway, mtu, dns-nameservers
    /// and dns-search. Returns what it did not understand, and the files named by `source`.
    public mutating func add(interfaces text: [UInt8]) -> (
        complaints: [Complaint], sources: [ByteString]
    ) {
        var complaints: [Complaint] = []
        var sources: [ByteString] = []
        var reading = InterfaceReading()
        for line in ConfigurationLine.all(in: text) {
            let words = line.words
            switch words[0] {
            case "auto", "allow-auto", "allow-hotplug": reading.automatic += words.dropFirst()
            case "source", "source-directory": sources += words.dropFirst()
            case "iface":
                complaints += reading.finish()
                if let text = reading.begin(words) {
                    complaints.append(Complaint(line: line.number, text: text))
                }
            case "mapping", "template": complaints += reading.finish()
            default:
                if let text = reading.take(words, line.number) {
                    complaints.append(Complaint(line: line.number, text: text))
                }
            }
        }
        complaints += reading.finish()
        for (interface, isDynamic) in reading.found where reading.automatic.contains(interface.name)
        {
            if isDynamic {
                dynamic.append(interface.name)
            } else if let index = interfaces.firstIndex(where: { $0.name == interface.name }) {
                interfaces[index].addresses += interface.addresses
                interfaces[index].gateways += interface.gateways
                if let size = interface.packetSize { interfaces[index].packetSize = size }
            } else {
                interfaces.append(interface)
            }
        }
        nameServers += reading.nameServers
        searchDomains += reading.searchDomains
        return (complaints, sources)
    }
}

/// An `iface` paragraph while it is read.
private struct InterfaceReading {
    var automatic: [ByteString] = []
    var found: [(NetworkSettings.Interface, isDynamic: Bool)] = []
    var nameServers: [IPAddress] = []
    var searchDomains: [ByteString] = []
    private var current: (interface: NetworkSettings.Interface, method: ByteString, isIPv6: Bool)?
    private var mask: ByteString?
    private var texts: [(line: Int, text: ByteString)] = []

    mutating func begin(_ words: [ByteString]) -> ByteString? {
        guard words.count >= 4, words[2] == "inet" || words[2] == "inet6" else {
            return "iface wants a name, inet or inet6, and a method"
        }
        current = (NetworkSettings.Interface(name: words[1]), words[3], words[2] == "inet6")
        (mask, texts) = (nil, [])
        switch words[3] {
        case "static", "dhcp", "loopback", "manual", "auto": return nil
        default:
            current = nil
            return "no method \(words[3].excerpt) here"
        }
    }

    mutating func take(_ words: [ByteString], _ line: Int) -> ByteString? {
        guard current != nil, words.count >= 2 else {
            return "\(words[0].excerpt) is not understood"
        }
        switch words[0] {
        case "address": texts.append((line, words[1]))
        case "netmask": mask = words[1]
        case "gateway":
            guard let gateway = IPAddress(words[1].bytes) else {
                return "\(words[1].excerpt) is no address"
            }
            current?.interface.gateways.append(gateway)
        case "mtu":
            guard let size = parseDecimal(words[1], within: 68...65536) else {
                return "\(words[1].excerpt) is no mtu"
            }
            current?.interface.packetSize = size
        case "dns-nameservers", "dns-nameserver":
            for word in words.dropFirst() {
                guard let server = IPAddress(word.bytes) else {
                    return "\(word.excerpt) is no address"
                }
                nameServers.append(server)
            }
        case "dns-search", "dns-domain": searchDomains += words.dropFirst()
        case "broadcast", "network", "metric", "scope", "accept_ra", "autoconf", "dad-attempts",
            "hostname":
            break
        default:
            return "\(words[0].excerpt) is not understood; a script in /etc/apus/boot.d can do it"
        }
        return nil
    }

    /// Ends the paragraph; returns what in it made no sense.
    mutating func finish() -> [NetworkSettings.Complaint] {
        guard let (begun, method, isIPv6) = current else { return [] }
        var interface = begun
        current = nil
        if method == "loopback" { return [] }
        if method == "dhcp" && !isIPv6 {
            found.append((interface, true))
            return []
        }
        var complaints: [NetworkSettings.Complaint] = []
        for (line, text) in texts {
            guard var address = NetworkSettings.Address(text, mask: mask) else {
                let mask: ByteString = mask.map { " with the mask \($0.excerpt)" } ?? ""
                complaints.append(
                    NetworkSettings.Complaint(
                        line: line, text: "\(text.excerpt) is no address\(mask)"))
                continue
            }
            if mask == nil, !text.contains(UInt8(ascii: "/")) {
                address.length = NetworkSettings.Address.classfulLength(of: address.address)
            }
            interface.addresses.append(address)
        }
        found.append((interface, false))
        return complaints
    }
}
