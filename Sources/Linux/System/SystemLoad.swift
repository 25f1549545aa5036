import Bytes
import CLinux

/// The load of the last minute, times 100; 0 when the system does not tell. getloadavg(3).
public func loadAverage() -> UInt {
    var load = 0.0
    guard getloadavg(&load, 1) == 1, load > 0 else { return 0 }
    return UInt(load * 100)
}
