import Linux

extension SystemCallFilter {
    /// Compiles what the user names: a list of calls when it begins with `@` or `~`, else a file.
    public init(policy: ByteString) throws(Failure) {
        let isList = policy.hasPrefix("@") || policy.hasPrefix("~")
        let rules =
            isList ? try Policy(list: policy, option: "policy") : try PolicyReader.read(policy)
        do throws(SystemError) { try self.init(rules) } catch {
            throw error.explained("unable to compile \(policy)")
        }
    }
}
