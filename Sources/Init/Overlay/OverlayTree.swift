import Bytes
import Commands
import Linux
import ServiceFiles
import Services

/// Makes a scan directory of what an image of s6-overlay has: a directory for each service, with links to the files of
/// its own. So nothing is written to the image, and all that is read is what stands there.
///
/// What s6-overlay brings along itself is there by its name: `base` does what /etc/fix-attrs.d asks for and runs what is
/// in /etc/cont-init.d, and at the stop what is in /etc/cont-finish.d.
struct OverlayTree {
    private let settings: OverlaySettings
    private let messages: Messages
    /// The names of the source directories.
    private let sources: [ByteString]
    /// What the names of pipelines stand for.
    private var pipelines: [(name: ByteString, members: [ByteString])] = []
    /// What is made by its own name.
    private static let brought = WordList(
        "base fix-attrs legacy-cont-init legacy-services user user2")
    /// What belongs to a reader as a service, and not as a logger.
    private static let unneeded = WordList(
        "consumer-for producer-for pipeline-name dependencies dependencies.d type")

    init(_ settings: OverlaySettings, _ messages: Messages) {
        self.settings = settings
        self.messages = messages
        sources = OverlayFiles.names(in: OverlayFiles.definitions)
        for name in sources {
            let place: ByteString = "\(OverlayFiles.definitions)/\(name)"
            guard let pipeline = OverlayTree.words(of: "\(place)/pipeline-name").first else {
                continue
            }
            pipelines.append(
                (pipeline, OverlayTree.words(of: "\(place)/consumer-for") + [name]))
        }
    }

    /// Makes it all, in a directory that is empty.
    func make() throws(SystemError) {
        let legacy = OverlayFiles.names(in: OverlayFiles.services).filter {
            OverlayFiles.isDirectory("\(OverlayFiles.services)/\($0)")
        }
        try makeBase()
        try makeBundle("fix-attrs", ["base"])
        try makeBundle("legacy-cont-init", ["base"])
        let (first, last) = (contents(of: "user"), contents(of: "user2"))
        try makeBundle("user", first)
        try makeBundle("user2", last)
        try makeBundle("legacy-services", legacy)
        for name in closure(of: first + last) { try makeService(name) }
        for name in legacy { try makeLegacy(name) }
    }

    // MARK: - What is up

    /// What is in one of the bundles that are brought up.
    private func contents(of bundle: ByteString) -> [ByteString] {
        var names: [ByteString] = []
        for place in [OverlayFiles.bundles, OverlayFiles.definitions] {
            names += OverlayFiles.names(in: "\(place)/\(bundle)/contents.d")
            names += OverlayTree.words(of: "\(place)/\(bundle)/contents")
        }
        return names.flatMap { name in pipelines.first { $0.name == name }?.members ?? [name] }
            .filter { !isConsumer($0) }
    }

    /// These, and all that they need or stand for. What is not there is left to whoever names it to complain of.
    private func closure(of names: [ByteString]) -> [ByteString] {
        var found: [ByteString] = []
        var waiting = names
        while let name = waiting.popLast() {
            guard sources.contains(name), OverlayTree.brought.index(of: name) == nil,
                !found.contains(name), !isConsumer(name)
            else { continue }
            found.append(name)
            do throws(SystemError) {
                let place = try openFile("\(OverlayFiles.definitions)/\(name)", .place)
                let definition = DefinitionReader.read(Directory(place), name: name).definition
                waiting += definition.needs + definition.wants + definition.contents
            } catch { messages.warning("unable to read \(name)", error.errno) }
        }
        return found
    }

    /// Whether it is the reader of a pipeline, which becomes its writer's `log`.
    private func isConsumer(_ name: ByteString) -> Bool {
        !OverlayTree.words(of: "\(OverlayFiles.definitions)/\(name)/consumer-for").isEmpty
    }

    /// The words of a file, one a line; none where there is no such file.
    private static func words(of path: ByteString) -> [ByteString] {
        do throws(SystemError) {
            return try Linux.contents(of: path, limit: 1 << 16)
                .split(separator: UInt8(ascii: "\n"))
                .map { ByteString(trimmed($0)) }.filter { !$0.isEmpty && !$0.hasPrefix("#") }
        } catch { return [] }
    }

    // MARK: - Directories

    private func place(_ name: ByteString) -> ByteString { "\(OverlayFiles.scanDirectory)/\(name)" }

    private func makeBundle(_ name: ByteString, _ contents: [ByteString]) throws(SystemError) {
        try OverlayFiles.make(place(name))
        let list = ByteString(contents, joinedBy: " ")
        try OverlayFiles.write(
            "\(place(name))/settings",
            contents.isEmpty ? "type bundle\n" : "type bundle\ncontents \(list)\n")
    }

    /// What runs the programs of a directory in order. s6-overlay tells of each, and of those that it cannot run.
    private static let script: ByteString = """
        for f in \\"$1\\"/*; do \
        if [ ! -x \\"$f\\" ]; then [ ! -e \\"$f\\" ] || echo \\"$0: warning: $f is not executable\\" >&2; continue; fi; \
        echo \\"$0: info: running $f\\" >&2; \\"$f\\"; e=$?; echo \\"$0: info: $f exited $e\\" >&2; \
        if [ $e -ne 0 ] && [ \\"$2\\" = stop ]; then exit $e; fi; done
        """

    private func makeBase() throws(SystemError) {
        let parts = [OverlayFiles.setUp, OverlayFiles.tearDown, OverlayFiles.attributes]
        guard parts.contains(where: { OverlayFiles.isDirectory($0) }) else {
            return try makeBundle("base", [])
        }
        let place = place("base")
        let consequence: ByteString = settings.stopsOnFailure ? " stop" : ""
        try OverlayFiles.make(place)
        try OverlayFiles.write("\(place)/type", "oneshot\n")
        var fixing: ByteString = ""
        if OverlayFiles.isDirectory(OverlayFiles.attributes) {
            let script: ByteString = "\(place)/fix-attrs"
            try OverlayFiles.write(script, AttributeScript.text)
            fixing =
                "/bin/sh \(script) \(OverlayFiles.attributes) || [ \\\"$2\\\" != stop ] || exit 1; "
        }
        try OverlayFiles.write(
            "\(place)/up",
            "/bin/sh -c \"\(fixing)\(OverlayTree.script)\" cont-init \(OverlayFiles.setUp)\(consequence)\n"
        )
        try OverlayFiles.write(
            "\(place)/down",
            "/bin/sh -c \"\(OverlayTree.script)\" cont-finish \(OverlayFiles.tearDown)\n")
        if settings.stopsOnFailure { try OverlayFiles.write("\(place)/settings", "essential\n") }
    }

    /// A service of s6-rc.
    private func makeService(_ name: ByteString) throws(SystemError) {
        let source: ByteString = "\(OverlayFiles.definitions)/\(name)"
        let consumers = OverlayTree.words(of: "\(source)/producer-for").filter {
            sources.contains($0)
        }
        try link(source, to: place(name), leavingOut: consumers.isEmpty ? [] : ["producer-for"])
        if let consumer = consumers.first {
            try link(
                "\(OverlayFiles.definitions)/\(consumer)", to: "\(place(name))/log",
                leavingOut: OverlayTree.unneeded.words)
        }
        let isOneshot = OverlayTree.words(of: "\(source)/type").first == "oneshot"
        if isOneshot && settings.stopsOnFailure {
            try addSettings(source, name, always: "", alone: "essential\n")
        }
    }

    /// A service in the way of older versions: it comes after what s6-rc brings up, and `finish` is told in s6's way.
    private func makeLegacy(_ name: ByteString) throws(SystemError) {
        let source: ByteString = "\(OverlayFiles.services)/\(name)"
        guard !sources.contains(name) else {
            return messages.warning(
                "\(source): left out, since \(OverlayFiles.definitions) has that name, too")
        }
        try link(source, to: place(name), leavingOut: [])
        try addSettings(
            source, name, always: "needs base\nafter user\n", alone: "finish-arguments s6\n")
    }

    /// Writes `settings`: the lines that always hold, and those of the service's own file, or `alone` where it has none.
    private func addSettings(
        _ source: ByteString, _ name: ByteString, always: ByteString, alone: ByteString
    ) throws(SystemError) {
        var own = alone
        do throws(SystemError) {
            own = ByteString(try Linux.contents(of: "\(source)/settings", limit: 1 << 16))
        } catch { if error.errno != .noEntry { throw error } }
        try OverlayFiles.remove("\(place(name))/settings")
        try OverlayFiles.write("\(place(name))/settings", "\(always)\(own)")
    }

    /// Makes a directory of links to what is in another. A logger is a directory of its own.
    private func link(_ source: ByteString, to target: ByteString, leavingOut left: [ByteString])
        throws(SystemError)
    {
        try OverlayFiles.make(target)
        for name in try entries(of: source) where !left.contains(name) {
            if name == "supervise" || name == "event" { continue }
            if name == "log", OverlayFiles.isDirectory("\(source)/log") {
                try link("\(source)/log", to: "\(target)/log", leavingOut: [])
            } else {
                try makeSymbolicLink("\(target)/\(name)", to: "\(source)/\(name)")
            }
        }
    }
}
