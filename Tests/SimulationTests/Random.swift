/// A generator whose whole state is one number, so that a failing run can be repeated.
struct Random {
    private var state: UInt64

    init(seed: UInt64) { state = seed }

    /// SplitMix64.
    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var value = state
        value = (value ^ (value >> 30)) &* 0xbf58_476d_1ce4_e5b9
        value = (value ^ (value >> 27)) &* 0x94d0_49bb_1331_11eb
        return value ^ (value >> 31)
    }

    /// A number below `bound`.
    mutating func below(_ bound: UInt64) -> UInt64 { next() % bound }

    /// True once in `times`.
    mutating func once(in times: UInt64) -> Bool { below(times) == 0 }
}
