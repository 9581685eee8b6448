/// The entries of a zip file (PKWARE's APPNOTE 6.3) that are stored as they are, which is how PyTorch writes checkpoints.
struct ZipArchive {
  struct Failure: Error { var reason: String }

  /// The bytes of each entry by its name.
  private(set) var entries: [String: Range<Int>] = [:]

  private enum Signature {
    static let endOfDirectory: UInt32 = 0x0605_4B50
    static let endOfDirectory64: UInt32 = 0x0606_4B50
    static let locator64: UInt32 = 0x0706_4B50
    static let directoryEntry: UInt32 = 0x0201_4B50
    static let localEntry: UInt32 = 0x0403_4B50
  }

  /// Whether bytes begin as a zip file does.
  static func isZip(_ bytes: UnsafeRawBufferPointer) -> Bool {
    bytes.count >= 4 && bytes.loadUnaligned(as: UInt32.self) == Signature.localEntry
  }

  init(_ bytes: UnsafeRawBufferPointer) throws(Failure) {
    let reader = Reader(bytes: bytes)
    var (count, offset) = try reader.directory()
    while count > 0 {
      count -= 1
      guard try reader.number(UInt32.self, offset) == Signature.directoryEntry else {
        throw Failure(reason: "the zip directory is damaged")
      }
      let method = try reader.number(UInt16.self, offset + 10)
      let nameLength = Int(try reader.number(UInt16.self, offset + 28))
      let extraLength = Int(try reader.number(UInt16.self, offset + 30))
      let commentLength = Int(try reader.number(UInt16.self, offset + 32))
      let name = try reader.text(offset + 46, count: nameLength)
      var sizes = Sizes(
        stored: UInt64(try reader.number(UInt32.self, offset + 20)), whole: UInt64(try reader.number(UInt32.self, offset + 24)),
        offset: UInt64(try reader.number(UInt32.self, offset + 42)))
      try sizes.applyZip64(reader, offset + 46 + nameLength, count: extraLength)
      guard method == 0, sizes.stored == sizes.whole else {
        throw Failure(reason: "the entry '\(name)' is compressed; PyTorch stores its entries: save the checkpoint again with torch.save")
      }
      let range = try reader.localRange(name: name, sizes)
      guard entries.updateValue(range, forKey: name) == nil else { throw Failure(reason: "the entry '\(name)' is there twice") }
      offset += 46 + nameLength + extraLength + commentLength
    }
    var end = 0
    for (name, range) in entries.sorted(by: { ($0.value.lowerBound, $0.value.upperBound) < ($1.value.lowerBound, $1.value.upperBound) })
    where !range.isEmpty {
      guard range.lowerBound >= end else { throw Failure(reason: "the bytes of the entry '\(name)' overlap another's") }
      end = range.upperBound
    }
  }

  private struct Sizes {
    var stored, whole, offset: UInt64

    /// Numbers that do not fit 32 bits stand in an extra field of kind 1, in this order.
    mutating func applyZip64(_ reader: Reader, _ start: Int, count: Int) throws(Failure) {
      var place = start
      while place + 4 <= start + count {
        let (kind, size) = (try reader.number(UInt16.self, place), Int(try reader.number(UInt16.self, place + 2)))
        if kind == 1 {
          var field = place + 4
          func next() throws(Failure) -> UInt64 {
            guard field + 8 <= place + 4 + size else { throw Failure(reason: "a zip64 field is too short") }
            defer { field += 8 }
            return try reader.number(UInt64.self, field)
          }
          if whole == UInt32.max { whole = try next() }
          if stored == UInt32.max { stored = try next() }
          if offset == UInt32.max { offset = try next() }
        }
        place += 4 + size
      }
    }
  }

  private struct Reader {
    let bytes: UnsafeRawBufferPointer

    func number<Number: FixedWidthInteger>(_: Number.Type, _ offset: Int) throws(Failure) -> Number {
      guard offset >= 0, offset <= bytes.count - MemoryLayout<Number>.size else { throw Failure(reason: "the zip file is cut off") }
      return Number(littleEndian: bytes.loadUnaligned(fromByteOffset: offset, as: Number.self))
    }

    func text(_ offset: Int, count: Int) throws(Failure) -> String {
      guard offset >= 0, count <= bytes.count - offset,
        let text = String(validating: bytes[offset..<offset + count], as: UTF8.self)
      else { throw Failure(reason: "an entry's name is damaged") }
      return text
    }

    /// How many entries the directory has, and where it begins.
    func directory() throws(Failure) -> (count: Int, offset: Int) {
      // The record stands at the file's end, before a comment of at most 65,535 bytes.
      var end = bytes.count - 22
      let least = max(0, bytes.count - 22 - 65_535)
      while end >= least, try number(UInt32.self, end) != Signature.endOfDirectory { end -= 1 }
      guard end >= least else { throw Failure(reason: "the zip file has no directory; it is cut off") }
      var count = UInt64(try number(UInt16.self, end + 10))
      var offset = UInt64(try number(UInt32.self, end + 16))
      if end >= 20, try number(UInt32.self, end - 20) == Signature.locator64 {
        guard let record = Int(exactly: try number(UInt64.self, end - 12)), try number(UInt32.self, record) == Signature.endOfDirectory64
        else { throw Failure(reason: "the zip64 directory is damaged") }
        count = try number(UInt64.self, record + 32)
        offset = try number(UInt64.self, record + 48)
      }
      // An entry of the directory takes 46 bytes at least.
      guard let count = Int(exactly: count), count <= bytes.count / 46, let offset = Int(exactly: offset), offset <= bytes.count else {
        throw Failure(reason: "the zip directory is damaged")
      }
      return (count, offset)
    }

    /// Where an entry's bytes stand, by its local header.
    func localRange(name: String, _ sizes: Sizes) throws(Failure) -> Range<Int> {
      guard let offset = Int(exactly: sizes.offset), let size = Int(exactly: sizes.stored), offset <= bytes.count,
        try number(UInt32.self, offset) == Signature.localEntry
      else { throw Failure(reason: "the entry '\(name)' is not where the directory says") }
      let start = offset + 30 + Int(try number(UInt16.self, offset + 26)) + Int(try number(UInt16.self, offset + 28))
      guard start <= bytes.count, size <= bytes.count - start else { throw Failure(reason: "the entry '\(name)' ends behind the file") }
      return start..<start + size
    }
  }
}
