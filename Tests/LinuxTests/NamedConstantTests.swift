import Testing

@testable import Linux

@Suite("Named constants")
struct NamedConstantTests {
    @Test("Only names have values", arguments: ["", "EFOO", "EPER", "EPERM ", "1", "-100", "E"])
    func unknown(_ name: String) { #expect(namedConstant(ByteString(name)) == nil) }

    @Test("A name has its value, of 64 bits", arguments: [("EPERM", 1), ("AT_FDCWD", -100)])
    func values(_ name: String, _ value: Int64) {
        #expect(namedConstant(ByteString(name)) == UInt64(bitPattern: value))
    }

    @Test("An error has the name that is no alias")
    func errors() {
        let names = [Errno.notPermitted, .again, Errno(95), Errno(35), Errno(133)].map(errorName)
        #expect(names == ["EPERM", "EAGAIN", "EOPNOTSUPP", "EDEADLK", "EHWPOISON"])
        #expect(errorName(Errno(0)) == nil)
        #expect(errorName(Errno(512)) == nil)
    }
}
