import Testing
import WordPiece

@Suite struct ScalarOffsetsTests {
  @Test(arguments: [
    "", "plain", "é", "aé中😀b", String(repeating: "中x😀é", count: 100), String(repeating: "é", count: 64),
  ])
  func bothWays(_ text: String) {
    let offsets = ScalarOffsets(text)
    var byte = 0
    var scalar = 0
    for value in text.unicodeScalars {
      #expect(offsets.scalarOffset(utf8: byte) == scalar)
      #expect(offsets.utf8Offset(scalar: scalar) == byte)
      byte += UTF8.width(value)
      scalar += 1
    }
    #expect(offsets.scalarOffset(utf8: byte) == scalar)
    #expect(offsets.utf8Offset(scalar: scalar) == byte)
  }

  @Test func outsideIsTheNearestEnd() {
    for text in ["abc", "aé中"] {
      let offsets = ScalarOffsets(text)
      #expect(offsets.scalarOffset(utf8: -1) == 0)
      #expect(offsets.scalarOffset(utf8: 1000) == 3)
      #expect(offsets.utf8Offset(scalar: -1) == 0)
      #expect(offsets.utf8Offset(scalar: 1000) == text.utf8.count)
    }
  }
}
