import Bytes
import Commands
import Linux
import Testing

@testable import Confinement

@Suite("Landlock rules")
struct LandlockTests {
    private func handled(_ text: ByteString, offered: Int) throws -> LandlockHandled? {
        var rules = LandlockRules()
        try rules.take(text)
        return try rules.handled(offered: offered)
    }

    private func refusal(_ text: ByteString, offered: Int) -> Int32? {
        do { _ = try handled(text, offered: offered) } catch {
            return (error as? Failure)?.exitCode
        }
        return nil
    }

    /// The kernel's bits of all rights to files that a version has, from 1 on.
    private let files: [UInt64] = [0x1fff, 0x3fff, 0x7fff, 0x7fff, 0xffff, 0xffff]

    @Test("A kernel that would restrict less than all access to files is refused")
    func complete() throws {
        for offered in 0...4 { #expect(refusal("ro=/", offered: offered) == 111) }
        for offered in 5...9 {
            #expect(try handled("ro=/", offered: offered)?.files.rawValue == 0xffff)
        }
    }

    @Test("abi= says what is enough, and then it is that on every kernel")
    func version() throws {
        for version in 1...6 {
            for offered in 0...9 {
                let text: ByteString = "abi=\(version),ro=/"
                if offered < version {
                    #expect(refusal(text, offered: offered) == 111)
                } else {
                    let bits = try handled(text, offered: offered)?.files.rawValue
                    #expect(bits == files[version - 1])
                }
            }
        }
    }

    @Test("Ports and scopes want their versions, and restrict nothing else")
    func others() throws {
        #expect(refusal("abi=1,bind=80", offered: 3) == 111)
        #expect(try handled("abi=1,bind=80", offered: 4)?.ports == .bind)
        for offered in 4...7 {
            let connect = try #require(try handled("connect=none", offered: offered))
            #expect(connect.ports == .connect && connect.files == [] && connect.scopes == 0)
        }
        #expect(try handled("bind=1,connect=2", offered: 5)?.ports == [.bind, .connect])
        #expect(try handled("ro=/", offered: 6)?.ports == [])
        #expect(refusal("scope=signal", offered: 5) == 111)
        let signal = try #require(try handled("scope=signal", offered: 6))
        #expect(signal.scopes == 2 && signal.files == [] && signal.ports == [])
        #expect(try handled("scope=abstract,scope=signal", offered: 7)?.scopes == 3)
        let both = try #require(try handled("connect=none,ro=/", offered: 6))
        #expect(both.files.rawValue == 0xffff && both.ports == .connect)
    }

    @Test("abi=any takes what there is, nothing at all among it")
    func any() throws {
        let text: ByteString = "abi=any,ro=/,bind=80,scope=signal"
        #expect(try handled(text, offered: 0) == nil)
        #expect(try handled("abi=any,connect=none", offered: 3) == nil)
        #expect(try handled(text, offered: 1)?.files.rawValue == 0x1fff)
        #expect(try handled(text, offered: 3)?.ports == [])
        let all = try handled(text, offered: 7)
        #expect(all?.files.rawValue == 0xffff && all?.ports == .bind && all?.scopes == 2)
    }

    @Test("A version alone is no rule", arguments: ["abi=1", "abi=any"] as [ByteString])
    func versionAlone(_ text: ByteString) { #expect(refusal(text, offered: 6) == 100) }
}
