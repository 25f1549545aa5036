import Bytes
import Linux

/// The variables by which people set s6-overlay, as far as they mean something here.
struct OverlaySettings {
    /// What happens when a program that prepares the container fails: nothing, or everything is stopped.
    let stopsOnFailure: Bool
    /// For how many milliseconds the main command waits for the services; nil for ever.
    let commandPatience: UInt64?
    /// How many milliseconds what is no service has at the stop, from TERM to KILL; nil where nobody says.
    let killGrace: UInt64?
    /// A command of sh that is run before anything is read.
    let hook: ByteString?
    /// Those that were set and have no effect.
    let ignored: [ByteString]

    /// What these would do is not done here.
    private static let unknown = WordList(
        """
        S6_LOGGING S6_LOGGING_SCRIPT S6_CATCHALL_USER S6_CMD_ARG0 S6_KILL_FINISH_MAXTIME \
        S6_SERVICES_GRACETIME S6_SERVICES_READYTIME S6_SYNC_DISKS S6_FIX_ATTRS_HIDDEN \
        S6_RUNTIME_PROFILE S6_RUNTIME_BUNDLEDIR S6_WAIT_FOR_CLOSING_FD
        """)

    /// The settings of an environment.
    init(_ environment: Environment) {
        func number(_ name: ByteString) -> UInt64? {
            guard let text = environment[name] else { return nil }
            return parseDecimal(text, within: 0...Int(Int32.max)).map { UInt64($0) }
        }
        stopsOnFailure = environment["S6_BEHAVIOUR_IF_STAGE2_FAILS"] == "2"
        let patience = number("S6_CMD_WAIT_FOR_SERVICES_MAXTIME") ?? 0
        commandPatience = patience == 0 ? nil : patience
        killGrace = number("S6_KILL_GRACETIME")
        hook = environment["S6_STAGE2_HOOK"].flatMap { $0.isEmpty ? nil : $0 }
        ignored = OverlaySettings.unknown.words.filter { environment[$0] != nil }
    }
}
