/// A text that equals only what has the same scalars, as Python's strings do.
///
/// Swift's own strings are equal where Unicode holds them for the same, `é` as one scalar and as two: a key that is one of
/// them would give one passage the offsets of the other.
package struct ExactString: Sendable, Hashable {
  package let text: String

  package init(_ text: String) { self.text = text }

  package static func == (left: ExactString, right: ExactString) -> Bool {
    left.text.utf8.count == right.text.utf8.count && left.text.utf8.elementsEqual(right.text.utf8)
  }

  package func hash(into hasher: inout Hasher) {
    let hashed: Void? = text.utf8.withContiguousStorageIfAvailable { hasher.combine(bytes: UnsafeRawBufferPointer($0)) }
    // Of a text that is not held as UTF-8 the same bytes.
    if hashed == nil { Array(text.utf8).withUnsafeBytes { hasher.combine(bytes: $0) } }
  }
}
