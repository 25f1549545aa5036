import Bytes
import Commands
import Linux

/// A service for each terminal that the kernel speaks to, on which people can log in.
enum Terminals {
    /// What such a service runs, in a directory called `getty-` and the terminal.
    static let program: ByteString = "/etc/apus/getty"
    private static let place: ByteString = "/run/apus"

    /// Makes the services that are missing from the directory `services`, as links to directories in /run, and removes
    /// links of terminals that are no more. A service that somebody made by that name stays as it is.
    static func perform(_ services: ByteString, _ messages: Messages) {
        do throws(SystemError) {
            guard try exists(program), try exists(services) else { return }
            let wanted = Console.terminals.map { "getty-\($0)" as ByteString }
            try removeOldLinks(services, except: wanted)
            for name in wanted { try make(name, services) }
        } catch { messages.warning("unable to make a service for each terminal", error.errno) }
    }

    private static func removeOldLinks(_ services: ByteString, except wanted: [ByteString])
        throws(SystemError)
    {
        for name in try entries(of: services)
        where name.hasPrefix("getty-") && !wanted.contains(name) {
            let path: ByteString = "\(services)/\(name)"
            if try status(of: path, followLinks: false).isLink,
                try readLink(path).hasPrefix("\(place)/")
            {
                try removeFile(path)
            }
        }
    }

    private static func make(_ name: ByteString, _ services: ByteString) throws(SystemError) {
        let directory: ByteString = "\(place)/\(name)"
        for path in [place, directory] {
            try ignoringExistence { () throws(SystemError) in
                try makeDirectory(path, permissions: 0o755)
            }
        }
        try ignoringExistence { () throws(SystemError) in
            try makeSymbolicLink("\(directory)/run", to: program)
        }
        try ignoringExistence { () throws(SystemError) in
            try makeSymbolicLink("\(services)/\(name)", to: directory)
        }
    }

    private static func ignoringExistence(_ body: () throws(SystemError) -> Void)
        throws(SystemError)
    {
        do throws(SystemError) { try body() } catch {
            if error.errno != .exists { throw error }
        }
    }
}
