/// How many bytes of `bytes` come before the first `byte`; nil when there is none.
public func offset(of byte: UInt8, in bytes: UnsafeRawBufferPointer) -> Int? {
    guard let base = bytes.baseAddress else { return nil }
    let wanted = SIMD16<UInt8>(repeating: byte)
    var offset = 0
    while offset + 16 <= bytes.count {
        let block = base.loadUnaligned(fromByteOffset: offset, as: SIMD16<UInt8>.self)
        let halves = unsafeBitCast(block .== wanted, to: SIMD2<UInt64>.self)
        if halves[0] | halves[1] != 0 {
            // Lanes that are equal have all bits set; the first lane is in the lowest bits.
            let isFirst = halves[0] != 0
            let bits = UInt64(littleEndian: isFirst ? halves[0] : halves[1])
            return offset + (isFirst ? 0 : 8) + bits.trailingZeroBitCount / 8
        }
        offset += 16
    }
    while offset < bytes.count {
        if bytes[offset] == byte { return offset }
        offset += 1
    }
    return nil
}

/// Copies `count` bytes between places that do not overlap. Short runs, as the lines of a log, are
/// copied without a call, in steps of which the last two may overlap.
@inline(__always)
public func copyBytes(
    from source: UnsafeRawPointer, to target: UnsafeMutableRawPointer, count: Int
) {
    guard (16...512).contains(count) else {
        return target.copyMemory(from: source, byteCount: count)
    }
    var offset = 0
    while offset < count - 16 {
        let step = source.loadUnaligned(fromByteOffset: offset, as: SIMD16<UInt8>.self)
        target.storeBytes(of: step, toByteOffset: offset, as: SIMD16<UInt8>.self)
        offset += 16
    }
    let last = source.loadUnaligned(fromByteOffset: count - 16, as: SIMD16<UInt8>.self)
    target.storeBytes(of: last, toByteOffset: count - 16, as: SIMD16<UInt8>.self)
}
