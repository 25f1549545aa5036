import Bytes
import Linux

/// Descriptors below all that services have, through which a child gets its directory, input and outputs, and the one by
/// which it tells that it is ready. A child is then given a copy of none but the lower ones, so that starting one costs
/// the same however many services there are.
struct LentDescriptors: ~Copyable {
    private let directory: Descriptor
    private let input: Descriptor
    private let output: Descriptor
    private let error: Descriptor
    private let other: Descriptor

    /// Takes numbers above those of all descriptors that are open now. Throws without /proc, and where close_range(2)
    /// is not to be had.
    init() throws(SystemError) {
        let first = try descriptorAboveAll()
        let second = try first.duplicate(minimum: first.number + 1)
        let third = try second.duplicate(minimum: second.number + 1)
        let fourth = try third.duplicate(minimum: third.number + 1)
        other = try fourth.duplicate(minimum: fourth.number + 1)
        directory = consume first
        input = consume second
        output = consume third
        error = consume fourth
    }

    /// Lends what `setup` names; whatever cannot be lent, the child copies itself, which takes longer, as it does with
    /// everything where there is more than these.
    borrowing func lend(_ setup: inout ChildSetup) {
        if setup.descriptors.count > 3 || setup.controlGroup >= 0 { return }
        do throws(SystemError) {
            if setup.directory >= 0 {
                try redirect(directory.number, to: setup.directory, closeOnExec: true)
            }
            let lenders = [input.number, output.number, error.number]
            for index in setup.descriptors.indices where setup.descriptors[index] >= 0 {
                try redirect(lenders[index], to: setup.descriptors[index], closeOnExec: true)
            }
            if setup.otherDescriptor.source >= 0 {
                try redirect(other.number, to: setup.otherDescriptor.source, closeOnExec: true)
                setup.otherDescriptor.source = other.number
            }
            if setup.directory >= 0 { setup.directory = directory.number }
            for index in setup.descriptors.indices where setup.descriptors[index] >= 0 {
                setup.descriptors[index] = lenders[index]
            }
            setup.closeFrom = other.number + 1
        } catch {}
    }

    /// Takes back what was lent: it would stay open here, and a logger never see its end of file.
    borrowing func takeBack() throws(SystemError) {
        let lenders = [input.number, output.number, error.number, other.number]
        for number in [directory.number] + lenders {
            try redirect(number, to: Standard.error, closeOnExec: true)
        }
    }
}
