// swift-tools-version: 6.1
// Benchmarks of SpanQA: a package of its own, so that the library does not carry them. `peers/` runs them beside
// others.

import PackageDescription

let package = Package(
  name: "Benchmarks",
  platforms: [.macOS(.v15)],
  dependencies: [
    .package(name: "SpanQA", path: ".."),
    .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
  ],
  targets: [
    // The tokeniser's speed over the lines of a file.
    .executableTarget(
      name: "TokenizerBenchmark",
      dependencies: [.product(name: "SpanQAInternals", package: "SpanQA")]),
    // Matrix products by shape, beside what the processor's arithmetic can do at most.
    .executableTarget(
      name: "KernelBenchmark",
      dependencies: [
        "CPeak",
        .product(name: "SpanQAInternals", package: "SpanQA"),
        .product(name: "ArgumentParser", package: "swift-argument-parser"),
      ]),
    .target(name: "CPeak"),
  ],
  swiftLanguageModes: [.v6]
)
