#if canImport(FoundationEssentials)
  import FoundationEssentials
#else
  import Foundation
#endif
#if canImport(Glibc)
  import Glibc
#else
  import Darwin
#endif

/// The attention probabilities of every head over one window, small enough for a page, with what they come to in numbers.
///
/// A map is `[tokens, tokens]`, a row for each token that attends. A probability p is kept as the whole number q nearest to
/// `levels` · √p: small probabilities, of which there are most, keep more of their digits. p is then (q / levels)².
public struct AttentionMaps: Encodable, Sendable {
  /// Layers, heads, tokens, tokens.
  public let shape: [Int]
  public private(set) var levels = 255
  /// How `maps` holds the numbers: `bytes` (one a number), or `huffman` (the canonical code of `codeLengths`).
  public private(set) var encoding = Encoding.bytes
  /// How many numbers of a row, or of a row and the next, stand in one word of the code, as the digits of a number to the base
  /// `levels` + 1, lowest first; zeros fill the last one up.
  public private(set) var numbersPerWord = 1
  /// The length of each code word; empty where there is no code.
  public private(set) var codeLengths: [Int] = []
  /// `[layers, heads]`: base64.
  public private(set) var maps: [[String]] = []
  /// `[layers, heads]`
  public let heads: [[Head]]

  public enum Encoding: String, Encodable, Sendable { case bytes, huffman }

  /// What a head does on the whole: means over the tokens that attend.
  public struct Head: Encodable, Sendable, Equatable {
    /// Of the probabilities, in bits: 0 for one token, log₂ of their number for all alike.
    public var entropy: Double
    /// How far away the tokens attended to are, in tokens.
    public var distance: Double
    /// The probability that goes to the token itself, the one before, the one after, the special tokens, the question, the passage.
    public var toItself, toPrevious, toNext, toSpecial, toQuestion, toPassage: Double
    /// Whether the head takes part, or was left out.
    public var isAblated: Bool
  }

  /// `[layers, heads, tokens, tokens]`, as whole numbers up to `levels`.
  private var numbers: [UInt8]

  /// - Parameters:
  ///   - layers: the probabilities `[heads, tokens, tokens]` of each layer; `nil` for a layer that was left out.
  ///   - parts: what each token belongs to.
  ///   - isAblated: whether a head was left out.
  init(
    _ layers: [[Float]?], heads headCount: Int, parts: [QuestionText.Token.Part], isAblated: (_ layer: Int, _ head: Int) -> Bool
  ) {
    let count = parts.count
    shape = [layers.count, headCount, count, count]
    let size = headCount * count * count
    numbers = []
    numbers.reserveCapacity(layers.count * size)
    for layer in layers {
      if let layer {
        numbers += layer.map { UInt8(min(max(255 * $0.squareRoot(), 0), 255).rounded()) }
      } else {
        numbers += repeatElement(0, count: size)
      }
    }
    heads = layers.enumerated().map { number, layer in
      (0..<headCount).map { head in
        Head(
          layer.map { $0[head * count * count..<(head + 1) * count * count] } ?? [], parts: parts,
          isAblated: layer == nil || isAblated(number, head))
      }
    }
    encodeMaps { Data($0) }
  }

  /// The same maps without what they hold: for what stands around them.
  var withoutMaps: AttentionMaps {
    var result = self
    result.maps = []
    return result
  }

  /// The same maps, coded so that they take at most `budget` bytes of base64 where that can be had with a level less than 255:
  /// for a page, which holds them all.
  func packed(within budget: Int) -> AttentionMaps {
    var result = self
    // A word takes a bit at least; where most numbers are zero, several share one. Words are 256 at most.
    let steps = [(255, 1), (127, 1), (63, 1), (31, 1), (15, 2), (10, 2), (7, 2), (5, 3), (3, 4)]
    for (levels, perWord) in steps {
      let digits = (0...255).map { UInt8((Float($0) * Float(levels) / 255).rounded()) }
      let rounded = numbers.map { digits[Int($0)] }
      let size = shape[2] * shape[3]
      let symbols = stride(from: 0, to: rounded.count, by: max(1, size)).map { first in
        Self.joined(rounded[first..<first + size], base: levels + 1, perWord: perWord)
      }
      var frequencies = [Int](repeating: 0, count: 256)
      for symbol in symbols.joined() { frequencies[Int(symbol)] += 1 }
      let code = HuffmanCode(frequencies: frequencies)
      guard code.bitCount(frequencies: frequencies) / 6 <= budget || levels == 3 else { continue }
      (result.levels, result.encoding, result.codeLengths, result.numbersPerWord) = (levels, .huffman, code.lengths, perWord)
      result.numbers = rounded
      result.encodeMaps { Data(code.encode(Self.joined($0, base: levels + 1, perWord: perWord))) }
      break
    }
    return result
  }

  /// Some numbers at a time as the digits of one.
  private static func joined(_ numbers: ArraySlice<UInt8>, base: Int, perWord: Int) -> [UInt8] {
    if perWord == 1 { return Array(numbers) }
    return stride(from: numbers.startIndex, to: numbers.endIndex, by: perWord).map { first in
      let digits = numbers[first..<min(first + perWord, numbers.endIndex)]
      return UInt8(truncatingIfNeeded: digits.reversed().reduce(0) { $0 * base + Int($1) })
    }
  }

  private mutating func encodeMaps(_ encode: (ArraySlice<UInt8>) -> Data) {
    let size = shape[2] * shape[3]
    maps = (0..<shape[0]).map { layer in
      (0..<shape[1]).map { head in
        let first = (layer * shape[1] + head) * size
        return encode(numbers[first..<first + size]).base64EncodedString()
      }
    }
  }

  /// What a token gives to another, as it is kept.
  public func probability(layer: Int, head: Int, from: Int, to: Int) -> Double {
    let number = numbers[((layer * shape[1] + head) * shape[2] + from) * shape[3] + to]
    return (Double(number) / Double(levels)) * (Double(number) / Double(levels))
  }

  private enum CodingKeys: CodingKey { case shape, levels, encoding, numbersPerWord, codeLengths, maps, heads }
}

extension AttentionMaps.Head {
  /// - Parameter probabilities: `[tokens, tokens]`; empty where there are none.
  fileprivate init(_ probabilities: ArraySlice<Float>, parts: [QuestionText.Token.Part], isAblated: Bool) {
    self.init(
      entropy: 0, distance: 0, toItself: 0, toPrevious: 0, toNext: 0, toSpecial: 0, toQuestion: 0, toPassage: 0, isAblated: isAblated)
    let count = parts.count
    guard !probabilities.isEmpty else { return }
    for (place, value) in probabilities.enumerated() where value > 0 {
      let (row, column) = place.quotientAndRemainder(dividingBy: count)
      let probability = Double(value)
      entropy -= probability * log2(probability)
      distance += probability * Double(abs(row - column))
      switch column - row {
      case 0: toItself += probability
      case -1: toPrevious += probability
      case 1: toNext += probability
      default: break
      }
      switch parts[column] {
      case .special: toSpecial += probability
      case .question: toQuestion += probability
      case .passage: toPassage += probability
      }
    }
    let share = 1 / Double(count)
    for path in [\Self.entropy, \.distance, \.toItself, \.toPrevious, \.toNext, \.toSpecial, \.toQuestion, \.toPassage] {
      self[keyPath: path] *= share
    }
  }
}
