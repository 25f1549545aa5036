/// A supervised service, a logger or the main command, as its conductor numbers it. The number of one that is gone
/// is used again.
public struct ServiceID: Hashable, Sendable {
    /// Its place in the table.
    public let index: Int

    /// The service at that place.
    public init(_ index: Int) { self.index = index }
}

/// An entry of the scan directory, as its conductor numbers it. The number of one that is gone is used again.
public struct PairID: Hashable, Sendable {
    /// Its place in the table.
    public let index: Int

    /// The pair at that place.
    public init(_ index: Int) { self.index = index }
}

/// Device and inode: which file something is, whatever its names.
public struct FileID: Hashable, Sendable {
    /// Device number.
    public let device: UInt64
    /// Inode number.
    public let inode: UInt64

    /// The file with that inode on that device.
    public init(device: UInt64, inode: UInt64) {
        self.device = device
        self.inode = inode
    }
}

/// Elements that keep their place as long as they are there; a free place is filled before a new one is made.
struct Table<Element> {
    private(set) var places: [Element?] = []
    private var free = 0

    init() {}

    /// A table with these places.
    init(places: [Element?]) {
        self.places = places
        free = places.reduce(0) { $1 == nil ? $0 + 1 : $0 }
    }

    var indices: Range<Int> { places.indices }
    var isEmpty: Bool { free == places.count }

    subscript(index: Int) -> Element? {
        get { places.indices.contains(index) ? places[index] : nil }
        _modify {
            if places.indices.contains(index) {
                yield &places[index]
            } else {
                var nothing: Element?
                yield &nothing
            }
        }
    }

    /// Adds an element; returns its place.
    mutating func add(_ element: Element) -> Int {
        if free > 0, let index = places.firstIndex(where: { $0 == nil }) {
            places[index] = element
            free -= 1
            return index
        }
        places.append(element)
        return places.count - 1
    }

    /// Frees a place that is taken.
    mutating func remove(_ index: Int) {
        places[index] = nil
        free += 1
    }
}

extension Table: Equatable where Element: Equatable {}
extension Table: Sendable where Element: Sendable {}
