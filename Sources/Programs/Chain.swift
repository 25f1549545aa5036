import Bytes
import Commands
import Formats
import Linux

/// chain(8): the interpreter of files that are one command, for images without a shell.
func chain(_ call: Call) throws(Failure) -> Outcome {
    let usage = Failure(usage: "chain [ -n ] file [ arg ... ]")
    var isOnlyRead = false
    var reader = OptionReader(call.arguments, [OptionName("n", true)], call.messages)
    while let result = reader.next() {
        guard case .option = result else { throw usage }
        isOnlyRead = true
    }
    let words = call.arguments[reader.operands...]
    guard let path = words.first else { throw usage }
    let content: [UInt8]
    do throws(SystemError) { content = try contents(of: path, limit: 1 << 16) } catch {
        throw error.explained("unable to read \(path)")
    }
    do throws(ChainFile.Mistake) {
        let file = try ChainFile(content)
        if isOnlyRead { return .exit(0) }
        let command = try file.command { name in
            guard let number = parseDecimal(name, within: 0...Int.max) else {
                return call.environment[name]
            }
            return number < words.count ? words[words.startIndex + number] : nil
        }
        return .become(Invocation(command: command, environment: call.environment))
    } catch {
        let place: ByteString = error.line == 0 ? path : "\(path):\(error.line)"
        throw Failure("\(place): \(error.text)", exitCode: 100)
    }
}
