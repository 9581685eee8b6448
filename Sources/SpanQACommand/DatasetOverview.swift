import SQuAD

/// What has to be known of a dataset before it is worked through: one quick pass over the file.
struct DatasetOverview {
  private(set) var questions = 0
  let version: Evaluation.Version

  init(path: String) throws(DatasetError) {
    let reader = try DatasetReader(path: path)
    var hasImpossible = false
    while let paragraph = try reader.next() {
      questions += paragraph.questions.count
      hasImpossible = hasImpossible || paragraph.questions.contains { $0.isImpossible == true }
    }
    // SQuAD's own files say "1.1" and "v2.0".
    let saysTwo = reader.version.map { $0.hasPrefix("v2") || $0.hasPrefix("2.") } ?? false
    version = saysTwo || hasImpossible ? .v2 : .v1
  }
}
