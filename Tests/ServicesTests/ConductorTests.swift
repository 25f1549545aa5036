import Formats
import Services
import Testing

@Suite("The conductor")
struct ConductorTests {
    private let now = Moment(nanoseconds: 0, timeOfDay: TAI64N(unixSeconds: 0, nanoseconds: 0))

    @Test("It lists the scan directory when it begins")
    func begins() {
        var conductor = Conductor(
            .init(hasScanDirectory: true, stopLimit: 0, stopReserve: 0, reachesOthers: false))
        #expect(conductor.handle(.began, at: now) == [.list])
    }
}
