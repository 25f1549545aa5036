import Bytes
import Testing

@testable import Supervision

@Suite("Becoming another binary") struct UpgradeTests {
    @Test("Its own answer is that of one that goes on")
    func same() { #expect(Upgrade.meaning(of: Upgrade.version) == .sameTable) }

    @Test(
        "Other numbers are those of another version",
        arguments: ["apus table 999.1\n", "apus table 1.999\n", "apus table 0.0\n"] as [ByteString])
    func other(text: ByteString) { #expect(Upgrade.meaning(of: text) == .otherTable) }

    @Test(
        "Anything else is another program",
        arguments: [
            "", "\n", "apus table\n", "apus table 1\n", "apus table 1.\n", "apus table .1\n",
            "apus table 999.1", "apus table 1.2.3\n", "apus table 1.2 \n", "apus table a.b\n",
            "apus 0.2.0\n", "y\n",
        ] as [ByteString])
    func wrong(text: ByteString) { #expect(Upgrade.meaning(of: text) == .wrong) }
}
