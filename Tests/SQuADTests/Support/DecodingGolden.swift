#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

/// What make_decoding.py wrote.
struct DecodingGolden: Decodable {
  struct Cut: Decodable {
    let questionTokens: Int
    let passageTokens: Int
    let maxSequenceLength: Int
    let docStride: Int
    let ranges: [Range<Int>]

    init(from decoder: any Decoder) throws {
      var values = try decoder.unkeyedContainer()
      questionTokens = try values.decode(Int.self)
      passageTokens = try values.decode(Int.self)
      maxSequenceLength = try values.decode(Int.self)
      docStride = try values.decode(Int.self)
      ranges = try values.decode([Range<Int>].self)
    }
  }

  struct Case: Decodable {
    let passage: String
    let offsets: [Range<Int>]
    let words: [Int32]
    let cls: [Float]
    let start: [Float]
    let end: [Float]
    let answers: [Ranking]
  }

  struct Ranking: Decodable {
    struct Setting: Decodable {
      let top_k: Int
      let align_to_words: Bool
      let handle_impossible_answer: Bool
      let max_answer_len: Int
    }

    struct Answer: Decodable {
      let range: Range<Int>
      let score: Double

      init(from decoder: any Decoder) throws {
        var values = try decoder.unkeyedContainer()
        let lower = try values.decode(Int.self)
        range = lower..<(try values.decode(Int.self))
        score = try values.decode(Double.self)
      }
    }

    let setting: Setting
    let answers: [Answer]

    init(from decoder: any Decoder) throws {
      var values = try decoder.unkeyedContainer()
      setting = try values.decode(Setting.self)
      answers = try values.decode([Answer].self)
    }
  }

  let windows: [Cut]
  let cases: [Case]

  static func read() throws -> DecodingGolden {
    let data = try Data(contentsOf: Repository.goldens.appendingPathComponent("decoding.json"))
    return try JSONDecoder().decode(DecodingGolden.self, from: data)
  }
}
