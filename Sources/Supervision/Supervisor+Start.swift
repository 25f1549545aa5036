import Bytes
import Commands
import Linux

/// Starting children at a cost that does not grow with the number of services. A child gets no copy of
/// the descriptors that services have, only of those below; what it is to be given of them is lent
/// through a descriptor below.
extension Supervisor {
    /// Starts a child that is no service; its death is an orphan's. Whatever `setup` says, it gets back
    /// what the supervisor changed for itself: the limit on descriptors and the blocked signals. Of
    /// `setup`'s descriptors one at most may be other than -1.
    public func start(_ invocation: Invocation, _ setup: ChildSetup) throws(SpawnError) -> ProcessID
    { try start(PreparedInvocation(invocation), setup) }

    func start(_ invocation: PreparedInvocation, _ setup: ChildSetup) throws(SpawnError)
        -> ProcessID
    {
        var setup = setup
        setup.descriptorLimit = inheritedLimit
        lend(&setup)
        defer { takeBack(setup) }
        let pid = try spawn(invocation, setup)
        hasChildren = true
        return pid
    }

    private func lend(_ setup: inout ChildSetup) {
        guard let lenderNumber else { return }
        if let index = setup.descriptors.indices.last {
            // Else the child copies all, which takes longer.
            do throws(SystemError) {
                try redirect(lenderNumber, to: setup.descriptors[index], closeOnExec: true)
            } catch { return }
            setup.descriptors[index] = lenderNumber
        }
        setup.closeFrom = lenderNumber + 1
    }

    /// What was lent would else stay open here, and a logger never see its end of file.
    private func takeBack(_ setup: ChildSetup) {
        guard let lenderNumber, setup.descriptors.last == lenderNumber else { return }
        do throws(SystemError) {
            try redirect(lenderNumber, to: Standard.input, closeOnExec: true)
        } catch {
            messages.warning("unable to take back a descriptor", error.errno)
        }
    }
}
