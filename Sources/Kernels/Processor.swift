import CKernels

/// What the processor can do that a kernel set or OpenBLAS asks for.
///
/// Read once: cpuid with the registers that the operating system saves (xgetbv) on x86, the auxiliary vector (getauxval) on ARM.
/// `SPANQA_FEATURES=-avx512,-avx2` hides features, to see what an older processor would do.
public struct Processor: Sendable {
  public enum Feature: String, Sendable, CaseIterable {
    /// With FMA and F16C.
    case avx2
    /// F, BW, DQ and VL.
    case avx512
    case avx512vnni
    case avx512bf16
    case avxvnni
    case amxInt8 = "amx-int8"
    case neon
    case dotprod
    case i8mm

    /// What the feature builds on: hidden with that one.
    var foundation: Feature? {
      switch self {
      case .avx2, .neon: nil
      case .avx512, .avxvnni: .avx2
      case .avx512vnni, .avx512bf16: .avx512
      case .amxInt8: .avx512vnni
      case .dotprod, .i8mm: .neon
      }
    }

    /// As a person reads it.
    public var title: String {
      switch self {
      case .avx2: "AVX2 with FMA and F16C"
      case .avx512: "AVX-512 F, BW, DQ and VL"
      case .avx512vnni: "AVX-512 VNNI"
      case .avx512bf16: "AVX-512 BF16"
      case .avxvnni: "AVX-VNNI"
      case .amxInt8: "AMX INT8"
      case .neon: "NEON"
      case .dotprod: "NEON dot products (SDOT)"
      case .i8mm: "NEON int8 matrix products (USMMLA)"
      }
    }
  }

  /// What there is and `SPANQA_FEATURES` does not hide.
  public let features: Set<Feature>
  /// What there is, but hidden.
  public let hidden: Set<Feature>

  /// This process's processor. A `SPANQA_FEATURES` that is not understood hides nothing here; `KernelSet.chosen()` reports it.
  public static let current: Processor = {
    let found = readFeatures()
    let mask = (try? Self.mask.get()) ?? []
    let hidden = found.filter { feature in
      sequence(first: feature, next: \.foundation).contains { mask.contains($0) }
    }
    return Processor(features: found.subtracting(hidden), hidden: hidden)
  }()

  /// What `SPANQA_FEATURES` hides.
  static let mask: Result<Set<Feature>, FeatureMaskError> = Result { () throws(FeatureMaskError) in
    try features(hiddenBy: Environment[.features] ?? "")
  }

  /// `-name,-name`: the features with these names.
  static func features(hiddenBy text: String) throws(FeatureMaskError) -> Set<Feature> {
    var features: Set<Feature> = []
    for item in text.split(separator: ",") {
      guard item.hasPrefix("-"), let feature = Feature(rawValue: String(item.dropFirst())) else {
        throw FeatureMaskError(item: String(item))
      }
      features.insert(feature)
    }
    return features
  }

  private static func readFeatures() -> Set<Feature> {
    let read = sq_cpu_features_read()
    let all: [(Feature, Int32)] = [
      (.avx2, read.avx2_fma), (.avx512, read.avx512), (.avx512vnni, read.avx512_vnni), (.avx512bf16, read.avx512_bf16),
      (.avxvnni, read.avx_vnni), (.amxInt8, read.amx_int8), (.neon, read.neon), (.dotprod, read.neon_dotprod),
      (.i8mm, read.neon_i8mm),
    ]
    return Set(all.filter { $0.1 != 0 }.map(\.0))
  }
}

/// What `SPANQA_FEATURES` says that is not understood.
public struct FeatureMaskError: Error, Equatable, CustomStringConvertible {
  let item: String

  public var description: String {
    "\(Environment.Variable.features.rawValue): \"\(item)\" is not understood; hide features by -name, separated by commas: "
      + Processor.Feature.allCases.map { "-" + $0.rawValue }.joined(separator: ",")
  }
}
