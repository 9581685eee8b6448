import Foundation
import Inspection
import Testing

struct ArchiveTests {
  /// A stored ZIP archive of `.npy` files, read by their documents.
  struct Reader {
    var entries: [(name: String, header: String, data: Data)] = []

    init(_ data: Data) throws {
      func number<Field: FixedWidthInteger>(_ place: Int, _: Field.Type) -> Int {
        Int(data.withUnsafeBytes { $0.loadUnaligned(fromByteOffset: place, as: Field.self) }.littleEndian)
      }
      let end = data.count - 22
      try #require(number(end, UInt32.self) == 0x0605_4b50)
      var place = number(end + 16, UInt32.self)
      for _ in 0..<number(end + 10, UInt16.self) {
        try #require(number(place, UInt32.self) == 0x0201_4b50)
        let length = number(place + 28, UInt16.self)
        let name = String(decoding: data[place + 46..<place + 46 + length], as: UTF8.self)
        let (size, local) = (number(place + 24, UInt32.self), number(place + 42, UInt32.self))
        let content = local + 30 + length
        try #require(data[content..<content + 8] == Data([0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59, 1, 0]))
        let header = number(content + 8, UInt16.self)
        #expect((10 + header) % 64 == 0)
        entries.append((
          name, String(decoding: data[content + 10..<content + 10 + header], as: UTF8.self),
          data[content + 10 + header..<content + size]
        ))
        place += 46 + length
      }
    }
  }

  @Test func arraysComeBack() throws {
    var archive = NumPyArchive()
    try archive.add("layer.0.output", shape: [2, 3], .float32([1, -2, 3, .infinity, 5, 6.5]))
    try archive.add("input_ids", shape: [2], .int32([101, -1]))
    try archive.add("signed", shape: [3], .int8([-128, 0, 127]))
    try archive.add("unsigned", shape: [1, 2], .uint8([0, 255]))
    let entries = try Reader(archive.data).entries
    #expect(entries.map(\.name) == ["layer.0.output.npy", "input_ids.npy", "signed.npy", "unsigned.npy"])
    #expect(entries[0].header.hasPrefix("{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3,), }"))
    #expect(entries[1].header.hasPrefix("{'descr': '<i4', 'fortran_order': False, 'shape': (2,), }"))
    #expect(entries[2].header.hasPrefix("{'descr': '|i1', 'fortran_order': False, 'shape': (3,), }"))
    #expect(entries[3].header.hasPrefix("{'descr': '|u1', 'fortran_order': False, 'shape': (1, 2,), }"))
    #expect(entries[2].data == Data([0x80, 0, 0x7f]) && entries[3].data == Data([0, 255]))
    let floats = [1, -2, 3, .infinity, 5, 6.5] as [Float]
    #expect(entries[0].data == floats.withUnsafeBytes { Data($0) })
  }

  @Test func patterns() {
    let pattern = NamePattern("embeddings, layer.*.attention.?alue,*logits")
    for name in ["embeddings", "layer.0.attention.value", "layer.11.attention.value", "logits", "layer.3.logits"] {
      #expect(pattern.matches(name))
    }
    for name in ["embedding", "layer.0.attention.values", "layer.0.attention.key", "logit", ""] { #expect(!pattern.matches(name)) }
    #expect(NamePattern("*").matches("") && !NamePattern("").matches("x") && NamePattern("a*b*c").matches("abbbxc"))
  }
}
