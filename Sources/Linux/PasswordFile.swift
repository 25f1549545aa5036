/// The account called `name` as the head of passwd(5) has it, where most stand. It costs a quarter of
/// libc's look-up, which takes memory for a stream; what is not found or not plain is left to that.
func accountInPasswordFile(_ name: ByteString) -> Account? {
    withUnsafeTemporaryAllocation(byteCount: 4096, alignment: 16) { block in
        do throws(SystemError) {
            let file = try openFile("/etc/passwd", .read)
            let count = try read(file.number, into: block)
            return account(name, in: UnsafeRawBufferPointer(rebasing: block[..<count]))
        } catch { return nil }
    }
}

/// The account called `name` in a text of passwd(5), whose last line may be cut.
func account(_ name: ByteString, in text: UnsafeRawBufferPointer) -> Account? {
    let colon = UInt8(ascii: ":")
    if name.isEmpty || name.contains(colon) { return nil }
    var rest = text
    while let end = offset(of: UInt8(ascii: "\n"), in: rest) {
        let line = UnsafeRawBufferPointer(rebasing: rest[..<end])
        rest = UnsafeRawBufferPointer(rebasing: rest[(end + 1)...])
        guard line.count > name.count, line[name.count] == colon,
            line.starts(with: name.bytes)
        else { continue }
        let fields = line.split(separator: colon, omittingEmptySubsequences: false)
        // Libc reads a line as a C string, and it takes more fields, and numbers that are not there.
        guard fields.count == 7, offset(of: 0, in: line) == nil,
            let user = id(fields[2]), let group = id(fields[3])
        else { return nil }
        return Account(user: user, group: group)
    }
    return nil
}

private func id(_ field: Slice<UnsafeRawBufferPointer>) -> UInt32? {
    let (value, length) = scanDecimal(field)
    guard (1...10).contains(length), length == field.count else { return nil }
    return UInt32(exactly: value)
}
