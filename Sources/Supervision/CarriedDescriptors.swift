import Linux

/// The descriptors that came from another image of this process, until each has been taken, or closed.
final class CarriedDescriptors {
    private var numbers: Set<Int32>

    /// These, which are nobody's.
    init(_ numbers: [Int32]) { self.numbers = Set(numbers) }

    /// One of them, which is the caller's from now on; nil when it is none of them, or not of the right kind.
    func take(_ number: Int32, where isRight: (FileStatus) -> Bool) -> Descriptor? {
        guard numbers.contains(number) else { return nil }
        do throws(SystemError) {
            guard isRight(try status(of: number)) else { return nil }
        } catch { return nil }
        numbers.remove(number)
        return Descriptor(owning: number)
    }

    /// Closes those that nobody took.
    func closeRest() {
        for number in numbers { closeUnowned(number) }
        numbers = []
    }
}
