// swift-tools-version: 6.1
// What an embedder writes: a package outside the tree that depends on SpanQA and answers a question.

import PackageDescription

let package = Package(
  name: "Example",
  platforms: [.macOS(.v15)],
  dependencies: [.package(name: "SpanQA", path: "../..")],
  targets: [
    .executableTarget(
      name: "example",
      dependencies: [
        .product(name: "SpanQA", package: "SpanQA"),
        .product(name: "SpanQADefaultModel", package: "SpanQA"),
      ]),
    // The same, looking inside.
    .executableTarget(
      name: "inside",
      dependencies: [
        .product(name: "SpanQA", package: "SpanQA"),
        .product(name: "SpanQADefaultModel", package: "SpanQA"),
        .product(name: "SpanQAInspection", package: "SpanQA"),
      ]),
  ],
  swiftLanguageModes: [.v6]
)
