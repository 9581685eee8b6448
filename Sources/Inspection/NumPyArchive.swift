import Observation

#if canImport(FoundationEssentials)
  import FoundationEssentials
#else
  import Foundation
#endif

/// Named arrays as a file that `numpy.load` reads: a ZIP archive (APPNOTE 6.3, entries stored as they are) of `.npy` files (NumPy
/// format 1.0).
public struct NumPyArchive {
  private var body = Data()
  private var directory = Data()
  private var count: UInt16 = 0

  public init() {}

  /// - Precondition: there are as many elements as `shape` says.
  public mutating func add(
    _ name: String, shape: [Int], _ elements: ObservedTensor.Elements
  ) throws(NumPyArchiveError) {
    switch elements {
    case .float32(let values): try add(name, shape: shape, type: "<f4", values)
    case .int32(let values): try add(name, shape: shape, type: "<i4", values)
    case .int8(let values): try add(name, shape: shape, type: "|i1", values)
    case .uint8(let values): try add(name, shape: shape, type: "|u1", values)
    }
  }

  private mutating func add(
    _ name: String, shape: [Int], type: String, _ values: [some BitwiseCopyable]
  ) throws(NumPyArchiveError) {
    precondition(shape.reduce(1, *) == values.count)
    try add(name, shape: shape, type: type, bytes: values.withUnsafeBytes { Data($0) })
  }

  private mutating func add(_ name: String, shape: [Int], type: String, bytes: Data) throws(NumPyArchiveError) {
    let sizes = shape.map { "\($0)," }.joined(separator: " ")
    var header = "{'descr': '\(type)', 'fortran_order': False, 'shape': (\(sizes)), }"
    // Magic, version and length take ten bytes; data begins at a multiple of 64.
    header += String(repeating: " ", count: 63 - (10 + header.utf8.count) % 64) + "\n"
    var content = Data([0x93]) + Data("NUMPY".utf8) + Data([1, 0])
    content.append(UInt16(truncatingIfNeeded: header.utf8.count))
    content += Data(header.utf8) + bytes

    let path = Data("\(name).npy".utf8)
    guard let size = UInt32(exactly: content.count), let offset = UInt32(exactly: body.count),
      body.count + content.count + path.count + 30 < Int(UInt32.max), count < .max, let length = UInt16(exactly: path.count)
    else { throw NumPyArchiveError.tooLarge }
    // Version 2.0, no flags, stored, 1980-01-01.
    var common = Data()
    for field: UInt16 in [20, 0, 0, 0, 0x21] { common.append(field) }
    for field in [CyclicRedundancy.checksum(of: content), size, size] { common.append(field) }
    common.append(length)
    common.append(UInt16(0))
    body.append(UInt32(0x0403_4b50))
    body += common + path + content
    directory.append(UInt32(0x0201_4b50))
    directory.append(UInt16(20))
    directory += common
    for field: UInt16 in [0, 0, 0] { directory.append(field) }
    directory.append(UInt32(0))
    directory.append(offset)
    directory += path
    count += 1
  }

  /// The whole file.
  public var data: Data {
    var end = Data()
    end.append(UInt32(0x0605_4b50))
    for field: UInt16 in [0, 0, count, count] { end.append(field) }
    end.append(UInt32(truncatingIfNeeded: directory.count))
    end.append(UInt32(truncatingIfNeeded: body.count))
    end.append(UInt16(0))
    return body + directory + end
  }
}

/// Why arrays do not make an archive.
public enum NumPyArchiveError: Error, Equatable, CustomStringConvertible {
  case tooLarge

  public var description: String {
    "the tensors do not fit an archive of 4 GiB and 65,535 entries; choose fewer with --tensors"
  }
}

extension Data {
  /// Little-endian.
  fileprivate mutating func append<Field: FixedWidthInteger>(_ field: Field) {
    Swift.withUnsafeBytes(of: field.littleEndian) { append(contentsOf: $0) }
  }
}

/// The checksum of ZIP (ISO 3309).
private enum CyclicRedundancy {
  private static let table: [UInt32] = (0..<256).map { (byte: UInt32) in
    (0..<8).reduce(byte) { value, _ in value & 1 == 1 ? 0xedb8_8320 ^ value >> 1 : value >> 1 }
  }

  static func checksum(of data: Data) -> UInt32 {
    let table = table
    return ~data.reduce(~0) { table[Int(($0 ^ UInt32($1)) & 0xff)] ^ $0 >> 8 }
  }
}
