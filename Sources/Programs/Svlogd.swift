import Bytes
import Commands
import Linux
import Logging

/// svlogd(8) of runit: logs standard input to directories, as their files `config` say.
func svlogd(_ call: Call) throws(Failure) -> Outcome {
    let usage = Failure(
        usageOfRunit: "[-ttv] [-r c] [-R abc] [-l len] [-b buflen] dir ...", exitCode: 111)
    var options = SvlogdOptions()
    var stamps = 0
    var reader = OptionReader(call.arguments, SvlogdOption.names, call.messages)
    while let result = reader.next() {
        guard case .option(let option, let value) = result else { throw usage }
        switch option {
        case .replaced:
            options.replaced = Array(value.bytes)
            if options.replacement == nil { options.replacement = UInt8(ascii: "_") }
        case .replacement:
            guard value.count == 1 else { throw usage }
            options.replacement = value[0]
        case .lineLimit: options.lineLimit = size(value, else: 1000)
        case .chunkSize: options.chunkSize = size(value, else: 1024)
        case .stamp: stamps = min(stamps + 1, 3)
        case .verbose: options.isVerbose = true
        case .version:
            call.messages.line("version \(version)")
            throw usage
        }
    }
    options.stamp = SvlogdStamp(rawValue: stamps)
    options.directories = Array(call.arguments[reader.operands...])
    if options.directories.isEmpty || options.chunkSize <= options.lineLimit { throw usage }
    return .exit(try Svlogd(options, call).run())
}

private enum SvlogdOption {
    /// Replace these bytes too.
    case replaced
    /// Replace bytes that are not printable by this.
    case replacement
    /// How much of a line is looked at.
    case lineLimit
    /// How much is written at once.
    case chunkSize
    /// Stamp lines; twice and three times in other forms.
    case stamp
    /// Say what is done.
    case verbose
    /// Print the version.
    case version

    static var names: [OptionName<SvlogdOption>] {
        [
            OptionName("R", .replaced, takesValue: true),
            OptionName("r", .replacement, takesValue: true),
            OptionName("l", .lineLimit, takesValue: true),
            OptionName("b", .chunkSize, takesValue: true), OptionName("t", .stamp),
            OptionName("v", .verbose), OptionName("V", .version),
        ]
    }
}

/// A number of bytes; `usual` for none, and for what is no number.
private func size(_ text: ByteString, else usual: Int) -> Int {
    let value = Int(clamping: scanDecimal(text.bytes).value)
    return value == 0 ? usual : value
}
