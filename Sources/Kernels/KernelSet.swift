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
    /// AVX2 with the 256-bit VNNI (Alder Lake, 2021; Zen 5).
    case avxvnni
    /// AVX-512 F, BW, DQ and VL (Skylake-SP, 2017).
    case avx512
    /// AVX-512 with VNNI (Cascade Lake, 2019; Zen 4, 2022).
    case avx512vnni
    /// AVX-512 with VNNI, and int8 products by tiles (Sapphire Rapids, 2023).
    case amx
    /// NEON of ARMv8-A.
    case neon
    /// NEON with SDOT (ARMv8.2: Cortex-A75, Neoverse N1, Apple A11).
    case neonDotprod = "neon-dotprod"
    /// NEON with USMMLA (ARMv8.6: Neoverse V1, Cortex-A510, Apple A15).
    case neonI8mm = "neon-i8mm"

    /// How the symbols of the set's kernels end.
    public var symbolSuffix: String { rawValue.filter { $0 != "-" } }

    /// Whether the set is one of ARM's.
    public var isNEON: Bool { requirement == .neon || requirement?.foundation == .neon }

    /// What the set asks of the processor.
    public var requirement: Processor.Feature? {
      switch self {
      case .reference, .portable: nil
      case .avx2: .avx2
      case .avxvnni: .avxvnni
      case .avx512: .avx512
      case .avx512vnni: .avx512vnni
      case .amx: .amxInt8
      case .neon: .neon
      case .neonDotprod: .dotprod
      case .neonI8mm: .i8mm
      }
    }
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
  /// - Throws: where the variable names no set, or one that this processor cannot run, or where `SPANQA_FEATURES` is not understood.
  public static func chosen() throws(KernelSetError) -> KernelSet {
    try selection.get()
  }

  private static let selection: Result<KernelSet, KernelSetError> = Result { () throws(KernelSetError) in
    if case .failure(let error) = Processor.mask { throw KernelSetError.features(error) }
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
    guard let feature = name.requirement, !Processor.current.features.contains(feature) else { return nil }
    if Processor.current.hidden.contains(feature) {
      return "\(Environment.Variable.features.rawValue) hides \(feature.title)"
    }
    return "this processor, or the system it runs under, lacks \(feature.title)"
  }

  /// The kernels that a set has of its own.
  static func ownTable(of name: Name) -> sq_kernel_set {
    // Sets of another architecture are empty.
    switch name {
    case .reference: .reference
    case .portable: sq_kernels_portable
    case .avx2: sq_kernels_avx2
    case .avxvnni: sq_kernels_avxvnni
    case .avx512: sq_kernels_avx512
    case .avx512vnni: sq_kernels_avx512vnni
    case .amx: sq_kernels_amx
    case .neon: sq_kernels_neon
    case .neonDotprod: sq_kernels_neondotprod
    case .neonI8mm: sq_kernels_neoni8mm
    }
  }

  private static func entry(_ index: Int, of table: sq_kernel_set) -> UInt? {
    let address = withUnsafeBytes(of: table) { $0.load(fromByteOffset: index * MemoryLayout<UInt>.stride, as: UInt.self) }
    return address == 0 ? nil : address
  }
}

/// Why a kernel set cannot be had.
public enum KernelSetError: Error, Equatable, CustomStringConvertible {
  case features(FeatureMaskError)
  case unknown(String)
  case unavailable(KernelSet.Name, reason: String)

  public var description: String {
    let available = KernelSet.available.map(\.rawValue).joined(separator: ", ")
    return switch self {
    case .features(let error):
      error.description
    case .unknown(let name):
      "\(Environment.Variable.kernels.rawValue)=\(name): no kernel set has this name; here run \(available)"
    case .unavailable(let name, let reason):
      "the kernel set \(name.rawValue) cannot run: \(reason); here run \(available)"
    }
  }
}
