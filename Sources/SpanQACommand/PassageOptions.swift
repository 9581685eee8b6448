import ArgumentParser

/// Where a subcommand's passage comes from.
struct PassageOptions: ParsableArguments {
  @Option(help: "The passage.")
  var passage: String?

  @Option(help: ArgumentHelp("A UTF-8 text file that holds the passage (- for standard input).", valueName: "file|-"))
  var passageFile: String?

  var isGiven: Bool { passage != nil || passageFile != nil }

  /// For a subcommand that needs a passage.
  func validateSource() throws {
    if passage != nil && passageFile != nil { throw ValidationError("give either --passage or --passage-file") }
    if !isGiven && TextInput.standardInputIsTerminal {
      throw ValidationError("give a passage with --passage, --passage-file or standard input")
    }
  }

  func text() throws -> String { try passage ?? TextInput.contents(of: passageFile ?? TextInput.standardInputName) }
}
