/// The page that shows a report, without the report: three files, compiled in.
///
/// It takes its data from one JSON object, and nothing from anywhere else. `docs/inside.md` shows the page, `page.js` begins with how it is
/// put together.
public enum ReportPage {
  /// The page with `data` in it.
  ///
  /// - Parameters:
  ///   - title: text, of which any is allowed.
  ///   - data: a JSON object. It is escaped here so that nothing in it can end the element that holds it.
  public static func html(title: String, data: String) -> String {
    var page = text(PackageResources.page_html)
    // In the order of the page, so that what is put in is not searched.
    var result = ""
    for (place, content) in [
      ("<!--title-->", escapedText(title)), ("/*style*/", text(PackageResources.page_css)), ("/*data*/", escapedJSON(data)),
      ("/*script*/", text(PackageResources.page_js)),
    ] {
      let parts = page.split(separator: place, maxSplits: 1, omittingEmptySubsequences: false)
      precondition(parts.count == 2, "page.html has no \(place)")
      result.append(contentsOf: parts[0])
      result += content
      page = String(parts[1])
    }
    return result + page
  }

  private static func text(_ bytes: [UInt8]) -> String { String(decoding: bytes, as: UTF8.self) }

  /// JSON inside a script element: `<` begins no tag, and the two separators that JavaScript once took for line ends are spelt out.
  private static func escapedJSON(_ json: String) -> String {
    var result = ""
    result.reserveCapacity(json.utf8.count)
    for scalar in json.unicodeScalars {
      switch scalar {
      case "<": result += "\\u003c"
      case ">": result += "\\u003e"
      case "&": result += "\\u0026"
      case "\u{2028}": result += "\\u2028"
      case "\u{2029}": result += "\\u2029"
      default: result.unicodeScalars.append(scalar)
      }
    }
    return result
  }

  private static func escapedText(_ text: String) -> String {
    var result = ""
    for scalar in text.unicodeScalars {
      switch scalar {
      case "<": result += "&lt;"
      case ">": result += "&gt;"
      case "&": result += "&amp;"
      default:
        // Control characters have no reference in HTML.
        if scalar.properties.generalCategory == .control { result += " " } else { result.unicodeScalars.append(scalar) }
      }
    }
    return result
  }
}
