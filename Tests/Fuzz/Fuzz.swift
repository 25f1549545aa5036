import Foundation

// What libFuzzer calls with whatever it makes up: the parser that FUZZ_FORMAT names reads it.

private let format: PolicyFormat = {
    guard let name = ProcessInfo.processInfo.environment["FUZZ_FORMAT"],
        let format = PolicyFormat(rawValue: name)
    else { fatalError("FUZZ_FORMAT must name a format") }
    return format
}()

/// Called by libFuzzer with each input.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzz(_ bytes: UnsafePointer<UInt8>, _ count: Int) -> CInt {
    format.take(Array(UnsafeBufferPointer(start: bytes, count: count)))
    return 0
}
