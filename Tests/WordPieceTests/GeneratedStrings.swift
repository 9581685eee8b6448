#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

/// SplitMix64, as in make_tokenizer_goldens.py.
struct SplitMix64 {
  private var state: UInt64

  init(seed: UInt64) { state = seed }

  mutating func below(_ bound: Int) -> Int {
    state &+= 0x9E37_79B9_7F4A_7C15
    var z = state
    z = (z ^ z >> 30) &* 0xBF58_476D_1CE4_E5B9
    z = (z ^ z >> 27) &* 0x94D0_49BB_1331_11EB
    return Int((z ^ z >> 31) % UInt64(bound))
  }
}

/// The strings that make_tokenizer_goldens.py makes, from the same recipes.
struct GeneratedStrings {
  static let specialTokens = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
  static let scalarsPerString = 128
  static let scalarStringCount = 0x110000 / scalarsPerString

  private struct Kinds: Decodable {
    struct Recipe: Decodable {
      var fewest: Int
      var most: Int
      /// Pools of ranges, as pairs of hexadecimal numbers.
      var pools: [[[String]]]
    }

    var insertions: [String]
    var recipes: [Recipe]
  }

  private struct Recipe {
    var fewest: Int
    var most: Int
    var pools: [[ClosedRange<Int>]]
  }

  private let insertions: [String]
  private let recipes: [Recipe]

  init(recipes file: URL) throws {
    let kinds = try JSONDecoder().decode(Kinds.self, from: Data(contentsOf: file))
    insertions = kinds.insertions
    recipes = kinds.recipes.map { recipe in
      let pools = recipe.pools.map { pool in
        pool.compactMap { pair -> ClosedRange<Int>? in
          guard let first = Int(pair[0], radix: 16), let last = Int(pair[1], radix: 16) else { return nil }
          return first...last
        }
      }
      return Recipe(fewest: recipe.fewest, most: recipe.most, pools: pools)
    }
  }

  /// A string of one of the recipes; here and there a special token or an insertion takes a scalar's place.
  func string(_ index: Int) -> String {
    var random = SplitMix64(seed: UInt64(index))
    let recipe = recipes[index % recipes.count]
    var text = String.UnicodeScalarView()
    for _ in 0..<recipe.fewest + random.below(recipe.most - recipe.fewest + 1) {
      switch random.below(64) {
      case 0: text += Self.specialTokens[random.below(Self.specialTokens.count)].unicodeScalars
      case 1: text += insertions[random.below(insertions.count)].unicodeScalars
      default:
        let pool = recipe.pools[random.below(recipe.pools.count)]
        let range = pool[random.below(pool.count)]
        let scalar = range.lowerBound + random.below(range.count)
        if let scalar = Unicode.Scalar(UInt32(scalar)) { text.append(scalar) }
      }
    }
    return String(text)
  }

  /// The scalars of one block, each within a word, at its start and by itself.
  static func scalarString(_ index: Int) -> String {
    var text = ""
    for value in index * scalarsPerString..<(index + 1) * scalarsPerString {
      guard let scalar = Unicode.Scalar(UInt32(value)) else { continue }
      text.unicodeScalars += "a\(scalar)b \(scalar)d \(scalar) ".unicodeScalars
    }
    return text
  }

  /// Every scalar of the planes 0 and 1, and of the CJK compatibility supplement, beginning and continuing a word.
  static func scalarVocabulary() -> [String] {
    let scalars = [0x21..<0x20000, 0x2F800..<0x2FA20].joined().compactMap { Unicode.Scalar(UInt32($0)) }
    return specialTokens + scalars.flatMap { [String($0), "##" + String($0)] }
  }
}
