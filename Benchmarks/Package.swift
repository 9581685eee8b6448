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
    // Loading, reading, tokenising, decoding: what surrounds the encoder.
    .executableTarget(
      name: "PartsBenchmark",
      dependencies: [
        "BenchmarkSupport",
        .product(name: "SpanQAInternals", package: "SpanQA"),
        .product(name: "ArgumentParser", package: "swift-argument-parser"),
      ]),
    // A pass that nobody watches beside one that nobody could watch.
    .executableTarget(
      name: "ObserverBenchmark",
      dependencies: [
        "BenchmarkSupport",
        .product(name: "SpanQAInternals", package: "SpanQA"),
        .product(name: "SpanQAInspection", package: "SpanQA"),
        .product(name: "SpanQADefaultModel", package: "SpanQA"),
        .product(name: "ArgumentParser", package: "swift-argument-parser"),
      ]),
    // Matrix products by shape, beside what the processor's arithmetic can do at most.
    .executableTarget(
      name: "KernelBenchmark",
      dependencies: [
        "BenchmarkSupport",
        .product(name: "SpanQAInternals", package: "SpanQA"),
        .product(name: "ArgumentParser", package: "swift-argument-parser"),
      ]),
    // From the triple loop to the shipped kernel, step by step (docs/gemm-steps.md).
    .executableTarget(
      name: "GEMMSteps",
      dependencies: [
        "BenchmarkSupport", "CGEMMSteps",
        .product(name: "SpanQAInternals", package: "SpanQA"),
        .product(name: "ArgumentParser", package: "swift-argument-parser"),
      ]),
    .target(name: "CGEMMSteps"),
    // What the processor's arithmetic can do at most, and numbers to multiply.
    .target(
      name: "BenchmarkSupport",
      dependencies: [
        .product(name: "SpanQAInternals", package: "SpanQA"), .product(name: "SpanQAInspection", package: "SpanQA"),
      ]),
  ],
  swiftLanguageModes: [.v6]
)
