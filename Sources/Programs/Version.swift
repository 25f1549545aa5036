/// The version of the binary and all of its programs, as the newest release in CHANGELOG.md has it.
let version: StaticString = "0.2.0"
