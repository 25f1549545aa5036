import Bytes
import Linux

/// What a program is given when it is called.
public struct Call {
    /// The words of the command line, the program's own name first.
    public let arguments: [ByteString]
    /// The environment.
    public let environment: Environment
    /// Where it speaks to people, under its own name.
    public let messages: Messages

    /// A call with the given words; the name in messages is the last component of the first.
    public init(arguments: [ByteString], environment: Environment) {
        self.arguments = arguments
        self.environment = environment
        messages = Messages(program: arguments.first?.lastComponent ?? "apus")
    }
}

/// How a program ends.
public enum Outcome {
    /// With an exit code.
    case exit(Int32)
    /// By becoming another program, as every program of the run-file chain does.
    case become(Invocation)
}
