// swift-tools-version: 6.1
// Benchmarks of SpanQA: a package of its own, so that the library does not carry them. `peers/` runs them beside
// others.

import PackageDescription

let package = Package(
  name: "Benchmarks",
  platforms: [.macOS(.v15)],
  dependencies: [
    .package(name: "SpanQA", path: ".."),
  ],
  targets: [
    // The tokeniser's speed over the lines of a file.
    .executableTarget(
      name: "TokenizerBenchmark",
      dependencies: [.product(name: "SpanQAInternals", package: "SpanQA")]),
  ],
  swiftLanguageModes: [.v6]
)
