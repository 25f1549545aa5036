import Bytes
import CLinux

/// Whether `descriptor` is a terminal whose foreground process group is this process's, so that a
/// child may be given the foreground. tcgetpgrp(3).
public func isForeground(_ descriptor: Int32) -> Bool { tcgetpgrp(descriptor) == getpgrp() }
