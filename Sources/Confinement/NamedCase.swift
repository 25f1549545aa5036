import Bytes

/// An enumeration whose cases have names in what people write.
protocol NamedCase: CaseIterable, Equatable {
    /// The name, as it is written.
    var name: StaticString { get }
}

extension NamedCase {
    /// The case that `name` names; nil when none has that name.
    init?(named name: ByteString) {
        for candidate in Self.allCases where name.isSpelled(candidate.name) {
            self = candidate
            return
        }
        return nil
    }
}
