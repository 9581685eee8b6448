import ReportPage

extension InspectionReport {
  /// What a page may take, in bytes: a page of 384 tokens is to stay below 5 MB.
  private static let pageBudget = 4_900_000

  /// One page that needs nothing but itself: no network, no other file.
  ///
  /// Attention is rounded as far as the page's size asks for; what stands around it is the whole of the report.
  public func html() throws -> String {
    var report = self
    report.attention = attention.withoutMaps
    let rest = try report.page().utf8.count
    report.attention = attention.packed(within: Self.pageBudget - rest)
    return try report.page()
  }

  private func page() throws -> String { try ReportPage.html(title: "\(question) · SpanQA", data: json()) }
}
