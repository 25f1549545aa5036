import Foundation

// What libFuzzer calls with whatever it makes up: the target that FUZZ_FORMAT names reads it.

/// A reader of bytes that others made. It must survive whatever they are; what it asserts beyond that is in
/// the file of its group.
private struct Target: Sendable {
    let name: String
    let take: @Sendable ([UInt8]) -> Void
}

/// All of them; Scripts/fuzz has their names too.
private let targets: [Target] =
    PolicyFormat.allCases.map { format in Target(name: format.rawValue) { format.take($0) } }
    + NetworkFormat.allCases.map { format in Target(name: format.rawValue) { format.take($0) } }
    + LogFormat.allCases.map { format in Target(name: format.rawValue) { format.take($0) } }
    + DefinitionFormat.allCases.map { format in Target(name: format.rawValue) { format.take($0) } }
    + JournalFormat.allCases.map { format in Target(name: format.rawValue) { format.take($0) } }

private let target: Target = {
    let name = ProcessInfo.processInfo.environment["FUZZ_FORMAT"]
    guard let target = targets.first(where: { $0.name == name }) else {
        fatalError("FUZZ_FORMAT must name a format")
    }
    return target
}()

/// Called by libFuzzer with each input.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzz(_ bytes: UnsafePointer<UInt8>, _ count: Int) -> CInt {
    target.take(Array(UnsafeBufferPointer(start: bytes, count: count)))
    return 0
}
