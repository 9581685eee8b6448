import CKernels

/// The kernels that one instruction set offers, with those that it lacks taken from the next set down.
///
/// All sets give the same bits; they differ in speed alone. The choice is made once, by what the processor can do, or by
/// `SPANQA_KERNELS=<set>`.
public struct KernelSet: Sendable {
  /// The sets, slowest first: each falls back on those before it.
  public enum Name: String, Sendable, CaseIterable {
    /// Swift, written to be read: what every other set is tested against.
    case reference
    /// C for any processor.
    case portable
    /// AVX2 with FMA and F16C (Haswell, 2013; Zen, 2017).
    case avx2
    /// AVX-512 F, BW, DQ and VL (Skylake-SP, 2017).
    case avx512
    /// AVX-512 with VNNI (Cascade Lake, 2019; Zen 4, 2022).
    case avx512vnni
  }

  public let name: Name
  let table: sq_kernel_set

  /// Which set each kernel comes from, in the order of `SQ_KERNELS`.
  public let origins: [(kernel: String, set: Name)]

  /// - Throws: `KernelSetError.unavailable` with the reason where this processor cannot run the set.
  public init(_ name: Name) throws(KernelSetError) {
    if let reason = Self.reasonUnavailable(name) { throw .unavailable(name, reason: reason) }
    self.name = name

    // The tables are arrays of function pointers: merge them entry by entry, the set itself first. The reference serves as a whole,
    // so that what is tested against it never runs in it.
    var merged = sq_kernel_set()
    var origins: [(String, Name)] = []
    let candidates = name == .reference ? [name] : Self.Name.allCases.prefix { $0 != name }.reversed().filter { $0 != .reference }
    let sets = name == .reference ? candidates : [name] + candidates
    for index in 0..<sq_kernel_count() {
      for set in sets where Self.reasonUnavailable(set) == nil {
        guard let entry = Self.entry(index, of: Self.ownTable(of: set)) else { continue }
        withUnsafeMutableBytes(of: &merged) {
          $0.storeBytes(of: entry, toByteOffset: index * MemoryLayout<UInt>.stride, as: UInt.self)
        }
        origins.append((String(cString: sq_kernel_name(index)), set))
        break
      }
    }
    precondition(origins.count == sq_kernel_count(), "the \(name) kernels leave a gap that no set fills")
    table = merged
    self.origins = origins
  }

  /// The fastest set that this processor can run, or the one that `SPANQA_KERNELS` names.
  ///
  /// - Throws: where the variable names no set, or one that this processor cannot run.
  public static func chosen() throws(KernelSetError) -> KernelSet {
    try selection.get()
  }

  private static let selection: Result<KernelSet, KernelSetError> = Result { () throws(KernelSetError) in
    if let value = Environment[.kernels] {
      guard let name = Name(rawValue: value) else { throw KernelSetError.unknown(value) }
      return try KernelSet(name)
    }
    return try KernelSet(available.last ?? .portable)
  }

  /// The sets that this processor can run, slowest first.
  public static var available: [Name] { Name.allCases.filter { reasonUnavailable($0) == nil } }

  /// What the processor lacks for a set; `nil` where it runs here.
  public static func reasonUnavailable(_ name: Name) -> String? {
    switch name {
    case .reference, .portable: return nil
    case .avx2: return processor.avx2_fma != 0 ? nil : lacking("AVX2 with FMA and F16C")
    case .avx512: return processor.avx512 != 0 ? nil : lacking("AVX-512 F, BW, DQ and VL")
    case .avx512vnni: return processor.avx512_vnni != 0 ? nil : lacking("AVX-512 VNNI")
    }
  }

  private static func lacking(_ features: String) -> String {
    "this processor, or the system it runs under, lacks \(features)"
  }

  /// What the processor can do, read once.
  static let processor = sq_cpu_features_read()

  private static func ownTable(of name: Name) -> sq_kernel_set {
    switch name {
    case .reference: return .reference
    case .portable: return sq_kernels_portable
    #if arch(x86_64)
      case .avx2: return sq_kernels_avx2
      case .avx512: return sq_kernels_avx512
      case .avx512vnni: return sq_kernels_avx512vnni
    #else
      case .avx2, .avx512, .avx512vnni: return sq_kernel_set()
    #endif
    }
  }

  private static func entry(_ index: Int, of table: sq_kernel_set) -> UInt? {
    let address = withUnsafeBytes(of: table) { $0.load(fromByteOffset: index * MemoryLayout<UInt>.stride, as: UInt.self) }
    return address == 0 ? nil : address
  }
}

/// Why a kernel set cannot be had.
public enum KernelSetError: Error, Equatable, CustomStringConvertible {
  case unknown(String)
  case unavailable(KernelSet.Name, reason: String)

  public var description: String {
    let available = KernelSet.available.map(\.rawValue).joined(separator: ", ")
    return switch self {
    case .unknown(let name):
      "\(Environment.Variable.kernels.rawValue)=\(name): no kernel set has this name; here run \(available)"
    case .unavailable(let name, let reason):
      "the kernel set \(name.rawValue) cannot run: \(reason); here run \(available)"
    }
  }
}
