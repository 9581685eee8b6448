import Testing
import WordPiece

@testable import SQuAD

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

struct WindowSequenceTests {
  @Test func cutsAsTokenizersDoes() throws {
    let golden = try DecodingGolden.read()
    #expect(golden.windows.count > 20)
    for cut in golden.windows {
      let windows = try WindowSequence(
        question: encoding(cut.questionTokens), passage: encoding(cut.passageTokens, firstID: 1000),
        classificationID: 1, separatorID: 2,
        options: WindowOptions(maxSequenceLength: cut.maxSequenceLength, docStride: cut.docStride))
      #expect(windows.map(\.passageTokens) == cut.ranges, "\(cut)")
    }
    print("compared \(golden.windows.count) ways to cut a passage into windows")
  }

  @Test func holdsQuestionAndPassagePart() throws {
    let windows = try WindowSequence(
      question: encoding(3, firstID: 10), passage: encoding(9, firstID: 100), classificationID: 1, separatorID: 2,
      options: WindowOptions(maxSequenceLength: 10, docStride: 2, maxQuestionLength: 2))
    #expect(windows.count == 3)
    #expect(windows[0].ids == [1, 10, 11, 2, 100, 101, 102, 103, 104, 2])
    #expect(windows[1].ids == [1, 10, 11, 2, 103, 104, 105, 106, 107, 2])
    #expect(windows[2].ids == [1, 10, 11, 2, 106, 107, 108, 2])
    #expect(windows.allSatisfy { $0.passageStart == 4 })
    #expect(windows.last == windows[2])
  }

  @Test func countsTheWindowsOfALongPassageWithoutBuildingThem() throws {
    let windows = try WindowSequence(
      question: encoding(10), passage: encoding(1_000_000), classificationID: 1, separatorID: 2)
    #expect(windows.count == 1 + (1_000_000 - 371 + 242) / 243)
    #expect(windows[windows.count - 1].passageTokens.upperBound == 1_000_000)
  }

  @Test func refusesWhatMakesNoWindow() throws {
    func error(_ question: Int, _ passage: Int, _ options: WindowOptions) -> WindowError? {
      do throws(WindowError) {
        _ = try WindowSequence(
          question: encoding(question), passage: encoding(passage), classificationID: 1, separatorID: 2,
          options: options)
        return nil
      } catch {
        #expect(!error.description.contains("\n"))
        return error
      }
    }
    #expect(error(0, 5, WindowOptions()) == .emptyQuestion)
    #expect(error(5, 0, WindowOptions()) == .emptyPassage)
    #expect(
      error(5, 5, WindowOptions(maxSequenceLength: 8)) == .windowTooSmall(maxSequenceLength: 8, questionTokens: 5))
    #expect(error(5, 5, WindowOptions(maxSequenceLength: 9, docStride: 0)) == nil)
    #expect(
      error(5, 50, WindowOptions(maxSequenceLength: 18, docStride: 10))
        == .strideLeavesNoProgress(docStride: 10, room: 10))
    // With a single window the stride does not matter.
    #expect(error(5, 10, WindowOptions(maxSequenceLength: 18, docStride: 10)) == nil)
    #expect(
      error(5, 5, WindowOptions(maxQuestionLength: 0))
        == .invalidOption(name: "maxQuestionLength", value: 0, least: 1))
    #expect(error(5, 5, WindowOptions(docStride: -1)) == .invalidOption(name: "docStride", value: -1, least: 0))
    #expect(error(5, 50, WindowOptions(maxSequenceLength: .min)) != nil)
    #expect(error(5, 50, WindowOptions(maxSequenceLength: .max, docStride: .max)) == nil)
    #expect(error(5, 50, WindowOptions(maxSequenceLength: 20, docStride: .max)) != nil)
  }

  /// An encoding of `count` tokens of one byte each.
  private func encoding(_ count: Int, firstID: Int32 = 0) -> Encoding {
    Encoding(
      ids: (0..<Int32(count)).map { firstID + $0 }, offsets: (0..<count).map { $0..<$0 + 1 },
      words: (0..<Int32(count)).map { $0 })
  }
}
