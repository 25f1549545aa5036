import Bytes

/// Room for a number of elements that cannot be copied, filled one after the other and used where
/// they stand.
struct FixedArray<Element: ~Copyable>: ~Copyable {
    /// Where the elements are; the first `count` of them exist.
    let elements: UnsafeMutableBufferPointer<Element>
    private(set) var count = 0

    init(capacity: Int) { elements = .allocate(capacity: capacity) }

    deinit {
        for index in 0..<count {
            (elements.baseAddress.unsafelyUnwrapped + index).deinitialize(count: 1)
        }
        elements.deallocate()
    }

    mutating func append(_ element: consuming Element) {
        elements.initializeElement(at: count, to: element)
        count += 1
    }
}
