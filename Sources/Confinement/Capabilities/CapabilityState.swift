import Bytes
import CCap
import Commands
import Linux

/// The capability sets of this process, read and changed through libcap.
public struct CapabilityState: Equatable, Sendable {
    /// What it may ever hold, it and its descendants.
    public var bounding: CapabilitySet = []
    /// What it may make effective.
    public var permitted: CapabilitySet = []
    /// What the kernel checks.
    public var effective: CapabilitySet = []
    /// What it may hand to programs whose files say so, and to all of root's.
    public var inheritable: CapabilitySet = []
    /// What it hands to every program that is not privileged by its file.
    public var ambient: CapabilitySet = []
    /// Whether exec gives root no capabilities of its own: the securebit `noroot`.
    public var rootIsOrdinary = false

    /// No capability at all.
    public init() {}

    /// As they are now. cap_get_proc(3), cap_get_bound(3), cap_get_ambient(3).
    public static func current() throws(SystemError) -> CapabilityState {
        var state = CapabilityState()
        for capability in CapabilitySet.known.members {
            let number = capability.number
            let isBounding = try Kernel.call("cap_get_bound") { cap_get_bound(number) }
            if isBounding == 1 { state.bounding.insert(CapabilitySet(capability)) }
            let isAmbient = try Kernel.call("cap_get_ambient") { cap_get_ambient(number) }
            if isAmbient == 1 { state.ambient.insert(CapabilitySet(capability)) }
        }
        state.rootIsOrdinary = try Securebits.current().contains(.noRoot)
        let sets = try ProcessSets()
        state.permitted = try sets.read(CAP_PERMITTED)
        state.effective = try sets.read(CAP_EFFECTIVE)
        state.inheritable = try sets.read(CAP_INHERITABLE)
        return state
    }

    /// What is effective now, and nothing else.
    static func currentEffective() throws(SystemError) -> CapabilitySet {
        try ProcessSets().read(CAP_EFFECTIVE)
    }

    /// What is permitted now, and nothing else.
    static func currentPermitted() throws(SystemError) -> CapabilitySet {
        try ProcessSets().read(CAP_PERMITTED)
    }

    /// Takes `capabilities` out of the bounding set, for good. cap_drop_bound(3).
    static func dropFromBounding(_ capabilities: CapabilitySet) throws(Failure) {
        for capability in capabilities.members {
            do throws(SystemError) {
                _ = try Kernel.call("cap_drop_bound") { cap_drop_bound(capability.number) }
            } catch {
                throw error.explained("unable to drop \(capability.name) from the bounding set")
            }
        }
    }

    /// Makes the three sets that a process changes at once what they are here. cap_set_proc(3).
    func setProcessSets() throws(SystemError) {
        let sets = try ProcessSets()
        try sets.write(CAP_PERMITTED, permitted)
        try sets.write(CAP_EFFECTIVE, effective)
        try sets.write(CAP_INHERITABLE, inheritable)
        try sets.apply()
    }

    /// Makes the ambient set what it is here. cap_reset_ambient(3), cap_set_ambient(3).
    func setAmbient() throws(Failure) {
        do throws(SystemError) {
            _ = try Kernel.call("cap_reset_ambient") { cap_reset_ambient() }
        } catch { throw error.explained("unable to clear the ambient set") }
        for capability in ambient.members {
            do throws(SystemError) {
                _ = try Kernel.call("cap_set_ambient") {
                    cap_set_ambient(capability.number, CAP_SET)
                }
            } catch {
                throw error.explained("unable to add \(capability.name) to the ambient set")
            }
        }
    }
}

/// libcap's copy of a process's permitted, effective and inheritable sets.
private struct ProcessSets: ~Copyable {
    private let sets: cap_t

    init() throws(SystemError) {
        var sets: cap_t?
        _ = try Kernel.call("cap_get_proc") { () -> Int32 in
            sets = cap_get_proc()
            return sets == nil ? -1 : 0
        }
        guard let sets else { throw SystemError("cap_get_proc", .noMemory) }
        self.sets = sets
    }

    deinit { cap_free(UnsafeMutableRawPointer(sets)) }

    func read(_ flag: cap_flag_t) throws(SystemError) -> CapabilitySet {
        var result: CapabilitySet = []
        for capability in CapabilitySet.known.members {
            var value = CAP_CLEAR
            _ = try Kernel.call("cap_get_flag") {
                cap_get_flag(sets, capability.number, flag, &value)
            }
            if value == CAP_SET { result.insert(CapabilitySet(capability)) }
        }
        return result
    }

    func write(_ flag: cap_flag_t, _ set: CapabilitySet) throws(SystemError) {
        for capability in CapabilitySet.known.members {
            var number = capability.number
            let value = set.contains(capability) ? CAP_SET : CAP_CLEAR
            _ = try Kernel.call("cap_set_flag") { cap_set_flag(sets, flag, 1, &number, value) }
        }
    }

    func apply() throws(SystemError) {
        _ = try Kernel.call("cap_set_proc") { cap_set_proc(sets) }
    }
}
