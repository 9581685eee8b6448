import ReportPage

extension InspectionReport {
  /// Of base64, in bytes: with this much a page of 384 tokens and 72 heads stays below 5 MB.
  private static let attentionBudget = 4_200_000

  /// One page that needs nothing but itself: no network, no other file.
  public func html() throws -> String {
    var report = self
    report.attention = attention.packed(within: Self.attentionBudget)
    return try ReportPage.html(title: "\(question) · SpanQA", data: report.json())
  }
}
