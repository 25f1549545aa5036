import Bytes
import Commands
import Foundation
import Linux

@testable import Confinement

/// A format that policies come in, for tests that read anything as one.
enum PolicyFormat: String, CaseIterable {
    case compiled, list, policy, profile

    /// Reads `bytes`, compiles what they say and looks at the filter. Only a mistake that can be told
    /// may come of it instead.
    func take(_ bytes: [UInt8]) {
        do throws(Failure) {
            guard let filter = try filter(bytes) else { return }
            precondition((1...SystemCallFilter.limit).contains(filter.instructions.count))
            for number in [0, 59, 0x4000_0000] as [UInt32] {
                _ = filter.answers(to: number, of: Architecture.native.auditNumber)
            }
            let again = try SystemCallFilter(file: filter.file, name: "again")
            precondition(again == filter)
        } catch {
            precondition(error.exitCode == 100 || error.exitCode == 111, "another exit code")
            precondition(!error.text.isEmpty, "a mistake without words")
        }
    }

    private func filter(_ bytes: [UInt8]) throws(Failure) -> SystemCallFilter? {
        switch self {
        case .list:
            return try SystemCallFilter(Policy(list: ByteString(bytes), option: "list"))
        case .policy: return try SystemCallFilter(PolicyReader.read(bytes, file: "policy"))
        case .compiled: return try SystemCallFilter(file: sealed(bytes), name: "file")
        case .profile:
            let profileTarget = ProfileTarget(bounding: [], kernel: (6, 1))
            let profile = try Profile.read(bytes, file: "profile", profileTarget)
            // With arguments, libseccomp may not come to an end.
            let isSafe = profile.rules.allSatisfy { $0.arguments.isEmpty }
            return isSafe ? try SystemCallFilter(profile) : nil
        }
    }

    /// With the checksum that belongs to it, which keeps nearly everything else out.
    private func sealed(_ bytes: [UInt8]) -> [UInt8] {
        guard bytes.count >= 24 else { return bytes }
        let sum = withUnsafeBytes(of: SystemCallFilter.checksum(bytes)) { Array($0) }
        return bytes[..<20] + sum + bytes[24...]
    }

    /// Files to begin with.
    var seeds: [[UInt8]] {
        get throws {
            if self == .compiled {
                return try PolicyFormat.policy.seeds.map {
                    try SystemCallFilter(PolicyReader.read($0, file: "seed")).file
                }
            }
            let directory = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
                .appendingPathComponent("../Fuzz/seeds/\(rawValue)")
            return try FileManager.default.contentsOfDirectory(
                at: directory, includingPropertiesForKeys: nil
            ).sorted { $0.path < $1.path }.map { Array(try Data(contentsOf: $0)) }
        }
    }
}
