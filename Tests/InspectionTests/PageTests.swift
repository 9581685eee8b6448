import Encoder
import Export
import Foundation
import Inspection
import ONNX
import RandomModels
import SpanQADefaultModel
import Testing

/// The page of `spanqa inspect` in a real browser: `apt-get install chromium`, which `make test` does where it can.
@Suite(.serialized, .enabled(if: Browser.path != nil, "needs Chromium (Debian: apt-get install chromium)"))
struct PageTests {
  /// Emoji of several scalars, marks that combine, text from right to left, and text that would rather be something else.
  static let passage = """
    🎉👩🏽‍🔬 The cafe\u{301} “A\u{30a}ngstro\u{308}m” — שלום עולם — opened in 1924 <b>by night</b>. مرحبا! <script>alert("1")</script> \
    </script><!--<script> \u{0}\u{7}\u{1b}[31m \u{2028}\u{2029} "quotes" 'too' &amp; Its first owner, Zoe\u{308} Mu\u{308}ller, came \
    from Zu\u{308}rich 🇨🇭, and then\u{85} moved.
    """
  static let question = "Where did the <i>owner</i> \"come\" from?</script>"

  /// Where the pictures of the page go: nobody reads them here, people do.
  static let pictures = URL(filePath: #filePath).deletingLastPathComponent()
    .appending(path: "../../.build/inspect-page").standardizedFileURL

  private func inspector() throws -> Inspector {
    try Inspector(onnx: DefaultModel.onnx(), tokenizer: DefaultModel.tokenizer(), name: "spanqa-mini")
  }

  private func page(_ report: InspectionReport) throws -> URL {
    try FileManager.default.createDirectory(at: Self.pictures, withIntermediateDirectories: true)
    let file = Self.pictures.appending(path: "page-\(report.tokens.count).html")
    try Data(report.html().utf8).write(to: file)
    return file
  }

  @Test func pageShowsWhatTheReportHolds() throws {
    let report = try inspector().inspect(Self.question, in: Self.passage)
    let browser = try Browser()
    try browser.show(width: 1280, isDark: false)
    try browser.open(page(report))
    try browser.wait(for: "document.querySelector('.heads').dataset.ready === 'true'")

    // The answer, at its very characters.
    let best = try #require(report.answers.first)
    #expect(Array(Self.passage.unicodeScalars)[best.start..<best.end].map(String.init).joined() == best.text)
    let highlighted = try browser.evaluate(
      "[...document.querySelectorAll('#passage mark.best')].map((mark) => mark.textContent).join('')") as? String
    #expect(highlighted.map { Array($0.unicodeScalars) } == Array(best.text.unicodeScalars))
    let before = try browser.evaluate("""
      (() => { const range = document.createRange(); range.setStart(document.getElementById("passage"), 0);
        range.setEndBefore(document.querySelector("#passage mark.best")); return Array.from(range.toString()).length; })()
      """) as? Int
    // One control character of the passage is written in four.
    let spelt = Self.passage.unicodeScalars.prefix(best.start).filter { (0x80...0x9f).contains($0.value) }.count
    #expect(before == best.start + 3 * spelt)
    #expect(best.text.contains("rich"), "the model answers \(best.text)")

    // Hostile text is text.
    let text = try browser.evaluate("document.getElementById('passage').textContent") as? String ?? ""
    for piece in ["<b>by night</b>", "<script>alert(\"1\")</script>", "</script><!--<script>", "\u{2400}\u{2407}\u{241b}[31m", "&amp;"] {
      #expect(text.contains(piece), "\(piece)")
    }
    #expect(try browser.evaluate("document.scripts.length") as? Int == 2)
    #expect(try browser.evaluate("document.querySelectorAll('#passage b, #passage i, #question i').length") as? Int == 0)
    #expect(try browser.evaluate("document.getElementById('question').textContent") as? String == Self.question)
    #expect(try browser.evaluate("document.title") as? String == "\(Self.question) · SpanQA")

    // A cell for every head, each with something in it.
    let cells = report.model.layers * report.model.heads
    #expect(try browser.evaluate("document.querySelectorAll('#attention .head').length") as? Int == cells)
    let drawn = try browser.evaluate("""
      [...document.querySelectorAll('#attention .head canvas')].filter((canvas) => {
        const data = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data;
        return new Set(new Uint32Array(data.buffer)).size > 8; }).length
      """) as? Int
    #expect(drawn == cells)

    // Pointing at a token shows where it comes from.
    let row = try #require(report.tokens.lastIndex { $0.part == .passage && $0.text == "moved" })
    try browser.hover(".chip[data-row='\(row)']")
    let token = report.tokens[row]
    let readout = try browser.evaluate("document.getElementById('readout').textContent") as? String ?? ""
    #expect(readout.contains("passage \(token.start ?? -1)–\(token.end ?? -1)") && readout.contains("id \(token.id)"), "\(readout)")
    #expect(try browser.evaluate("document.querySelector('.source.hover').textContent") as? String == "moved")
    #expect((try browser.evaluate("document.getElementById('tip').textContent") as? String)?.contains("token \(row)") == true)

    #expect(browser.complaints.isEmpty)
  }

  @Test func keysReachEverything() throws {
    let report = try inspector().inspect("Who owned it?", in: "Zoë owned the café, and Max the bar.")
    let browser = try Browser()
    try browser.show(width: 1280, isDark: false)
    try browser.open(page(report))
    // Tokens: one stop of the tab key, then arrows.
    try browser.evaluate("document.querySelector('.chip').focus()")
    for _ in 0..<3 { try browser.press("ArrowRight") }
    #expect(try browser.evaluate("document.activeElement.dataset.row") as? String == "3")
    #expect((try browser.evaluate("document.getElementById('readout').textContent") as? String)?.contains("token 3") == true)
    try browser.press("End")
    #expect(try browser.evaluate("document.activeElement.dataset.row") as? String == "\(report.tokens.count - 1)")
    #expect(try browser.evaluate("document.querySelectorAll('.chip[tabindex=\"0\"]').length") as? Int == 1)

    // Heads: down a layer, right a head, open.
    try browser.evaluate("document.querySelector('.head').focus()")
    for key in ["ArrowDown", "ArrowRight"] { try browser.press(key) }
    try browser.evaluate("document.activeElement.click()")
    #expect(try browser.evaluate("document.querySelector('#head-detail h3').textContent") as? String == "Layer 1, head 1")

    // The opened map says each probability, as the model has it.
    try browser.evaluate("document.querySelector('#head-detail canvas').focus()")
    for key in ["ArrowDown", "ArrowDown", "ArrowRight"] { try browser.press(key) }
    let spoken = try browser.evaluate("document.querySelector('#head-detail .note').textContent") as? String ?? ""
    let count = report.tokens.count
    let exact = report.attention.probability(layer: 1, head: 1, from: 1, to: 1)
    let shown = try #require(spoken.split(separator: " ").dropLast().last.flatMap { Double($0) }, "\(spoken)")
    #expect(spoken.contains("(1) looks at") && abs(shown / 100 - exact) < 0.006, "\(spoken), expected \(exact)")
    #expect(count < 30)

    // What is drawn has words.
    #expect(
      try browser.evaluate("[...document.querySelectorAll('main svg, main canvas.map')].filter((e) => !e.getAttribute('aria-label')).length")
        as? Int == 0)
    #expect(
      try browser.evaluate("[...document.querySelectorAll('button')].filter((e) => !e.textContent.trim() && !e.getAttribute('aria-label')).length")
        as? Int == 0)
    #expect(browser.complaints.isEmpty)
  }

  /// The embedded model, and the shape of BERT-large, whose maps are five times as many.
  @Test(arguments: [false, true])
  func longPassageFitsAPageAndAScreen(_ isLarge: Bool) throws {
    // Sentences that differ, so that attention does.
    let places = ["Lisbon", "Oslo", "Quito", "Hanoi", "Accra", "Perth", "Turin", "Lima", "Cairo", "Kyoto", "Riga", "Dakar"]
    let passage = (0..<60).map { number in
      let (a, b) = (places[number % places.count], places[(number * 5 + 3) % places.count])
      return "In \(1900 + number), ship number \(number * 37 % 101) sailed from \(a) to \(b) with \(number * 13 + 7) crates of tea."
    }.joined(separator: " ")
    let report = try (isLarge ? largeInspector() : inspector()).inspect(
      "Where did the ship of 1931 sail from?", in: passage, window: 0)
    #expect(report.tokens.count == 384 && report.windows.count > 1)
    let html = try report.html()
    print("a page of \(report.tokens.count) tokens and \(report.attention.shape[0] * report.attention.shape[1]) maps: \(html.utf8.count) bytes")
    #expect(html.utf8.count < 5_000_000)
    let browser = try Browser()
    try browser.show(width: 1280, isDark: false)
    try browser.open(page(report))
    try browser.wait(for: "document.querySelector('.heads').dataset.ready === 'true'")
    #expect(browser.complaints.isEmpty)

    // The opened map is the model's, as far as the page's levels go.
    let (layer, head) = (report.model.layers - 1, report.model.heads - 1)
    try browser.evaluate("document.querySelector('.head[data-layer=\"\(layer)\"][data-head=\"\(head)\"]').click()")
    try browser.evaluate("document.querySelector('#head-detail canvas').focus()")
    let levels = try #require(try browser.evaluate("JSON.parse(document.getElementById('data').textContent).attention.levels") as? Int)
    for (key, row, column) in [("ArrowDown", 0, 0), ("ArrowDown", 1, 0), ("ArrowRight", 1, 1)] {
      try browser.press(key)
      let spoken = try browser.evaluate("document.querySelector('#head-detail .note').textContent") as? String ?? ""
      let shown = try #require(spoken.split(separator: " ").dropLast().last.flatMap { Double($0) }, "\(spoken)")
      let exact = report.attention.probability(layer: layer, head: head, from: row, to: column)
      #expect(
        spoken.contains("(\(row)) looks at") && abs((shown / 100).squareRoot() - exact.squareRoot()) <= 0.51 / Double(levels) + 0.01,
        "\(spoken), expected \(exact) in \(levels) levels")
    }
  }

  /// BERT-large has 24 layers of 16 heads; here they are four numbers wide.
  private func largeInspector() throws -> Inspector {
    let configuration = DistilBERT.Configuration(
      layers: 24, hidden: 64, heads: 16, feedForward: 64, vocabulary: 30_522, positions: 512)
    return try Inspector(
      onnx: Model(DistilBERT.random(configuration, seed: 3)), tokenizer: DefaultModel.tokenizer(), name: "large")
  }

  /// A pass that rounds between its operations has no one piece of memory, and the page says so.
  @Test func pageSaysWhatThereIsNot() throws {
    var report = try inspector().inspect("Who owned it?", in: "Zoë owned the café, and Max the bar.")
    report.memory = []
    report.model.isRounded = true
    let browser = try Browser()
    try browser.show(width: 400, isDark: false)
    try browser.open(page(report))
    let text = try browser.evaluate("document.querySelector('#memory .body').innerText") as? String ?? ""
    #expect(text.contains("rounds values between operations") && text.contains("no one piece"), "\(text)")
    #expect(browser.complaints.isEmpty)
  }

  @Test(arguments: [1280, 400])
  func picturesAndWidth(_ width: Int) throws {
    let report = try inspector().inspect(
      "Which country contains most of the rainforest?",
      in: """
        The Amazon basin encompasses 7,000,000 square kilometres, of which 5,500,000 are covered by the rainforest. The majority of the \
        forest is contained within Brazil, with 60% of the rainforest, followed by Peru with 13%.
        """)
    let browser = try Browser()
    try browser.show(width: width, isDark: false)
    try browser.open(page(report))
    for (isDark, name) in [(false, "light"), (true, "dark")] {
      try browser.show(width: width, isDark: isDark)
      try browser.wait(for: "document.documentElement.dataset.theme === '\(name)'")
      try browser.wait(for: "document.querySelector('.heads').dataset.ready === 'true'")
      // Nothing sticks out at the side.
      #expect(try browser.evaluate("document.documentElement.scrollWidth <= innerWidth") as? Bool == true)
      let picture = try browser.screenshot()
      #expect(picture.count > 50_000)
      try picture.write(to: Self.pictures.appending(path: "page-\(width)-\(name).png"))
    }
    #expect(browser.complaints.isEmpty)
  }
}
