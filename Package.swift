// swift-tools-version: 6.1
// SpanQA: extractive question answering with a DistilBERT in ONNX.

import PackageDescription

let package = Package(
  name: "SpanQA",
  platforms: [.macOS(.v15)],
  products: [
    // Public API.
    .library(name: "SpanQA", targets: ["SpanQA"]),
    .library(name: "SpanQADefaultModel", targets: ["SpanQADefaultModel"]),
    .library(name: "SpanQAInspection", targets: ["Inspection", "Observation", "Encoder"]),
    .executable(name: "spanqa", targets: ["SpanQACommand"]),

    // Implementation details, for the benchmarks in Benchmarks/: no stability is promised.
    .library(name: "SpanQAInternals", targets: ["WordPiece", "SQuAD", "Encoder", "Kernels", "Lowering", "ONNX"]),
  ],
  dependencies: [
    .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
  ],
  targets: [
    // The command. Its folder is not called `spanqa`, which would be one folder with `SpanQA` on a
    // file system that folds case.
    .executableTarget(
      name: "SpanQACommand",
      dependencies: [
        "SpanQA", "SpanQADefaultModel", "Inspection", "Observation", "ModelFolders", "FineTuning", "Checkpoints", "Quantization", "Export",
        "SQuAD", "WordPiece", "Encoder", "Lowering", "Interpreter", "ONNX", "Kernels", "Files",
        .product(name: "ArgumentParser", package: "swift-argument-parser"),
      ]),

    // The door for embedders.
    .target(
      name: "SpanQA",
      dependencies: ["SQuAD", "WordPiece", "Encoder", "Lowering", "Interpreter", "ONNX", "Kernels", "Observation"]),

    // The embedded model, and `QuestionAnswerer.default`.
    .target(name: "SpanQADefaultModel", dependencies: ["SpanQA", "CDefaultModel"], exclude: ["ModelCard.md"]),
    .target(name: "CDefaultModel", exclude: ["Resources"]),

    // What goes on inside, as files and pages.
    .target(
      name: "Inspection",
      dependencies: ["SpanQA", "SQuAD", "WordPiece", "ONNX", "Lowering", "Encoder", "Kernels", "Observation", "ReportPage", "CPeak"]),
    // The page of `spanqa inspect`: markup, style and script, compiled in.
    .target(
      name: "ReportPage", resources: [.embedInCode("page.html"), .embedInCode("page.css"), .embedInCode("page.js")]),

    // Models taken from any file, and written as folders that others take.
    .target(
      name: "ModelFolders",
      dependencies: ["SpanQA", "FineTuning", "Checkpoints", "Export", "Lowering", "Encoder", "ONNX", "WordPiece", "Files"]),

    // Text.
    .target(name: "SQuAD", dependencies: ["WordPiece"]),
    .target(name: "WordPiece", dependencies: ["Files"], exclude: ["Unicode/make_unicode_tables.py"]),

    // Models.
    .target(name: "Quantization", dependencies: ["Encoder"]),
    .target(name: "FineTuning", dependencies: ["Checkpoints", "SQuAD", "WordPiece", "Encoder", "Kernels", "Observation"]),
    .target(name: "Export", dependencies: ["ONNX", "Encoder"]),
    .target(name: "Lowering", dependencies: ["ONNX", "Encoder"]),
    .target(name: "Interpreter", dependencies: ["ONNX", "Observation"]),
    .target(name: "Encoder", dependencies: ["Kernels", "Observation"]),
    // What is told of a pass through a model, by whoever runs it.
    .target(name: "Observation"),
    .target(name: "ONNX", dependencies: ["Files", "CONNXProto"]),
    .target(name: "Checkpoints", dependencies: ["Encoder", "Files"]),

    // What readers and writers of files share.
    .target(name: "Files"),

    // Arithmetic.
    .target(name: "Kernels", dependencies: ["CKernels", "COpenBLAS"]),
    .target(name: "CKernels"),
    // What a processor's arithmetic can do at most.
    .target(name: "CPeak"),

    // System libraries and the code generated for them.
    .systemLibrary(
      name: "COpenBLAS", pkgConfig: "openblas",
      providers: [.apt(["libopenblas-dev"]), .brew(["openblas"])]),
    .target(name: "CONNXProto", dependencies: ["CProtobufC"], exclude: ["onnx.proto", "regenerate.sh"]),
    .systemLibrary(
      name: "CProtobufC", pkgConfig: "libprotobuf-c",
      providers: [.apt(["libprotobuf-c-dev"]), .brew(["protobuf-c"])]),

    // Tests.
    .testTarget(name: "SQuADTests", dependencies: ["SQuAD", "WordPiece"], exclude: ["Goldens"]),
    .testTarget(name: "WordPieceTests", dependencies: ["WordPiece"], exclude: ["Goldens"]),
    .testTarget(name: "ONNXTests", dependencies: ["ONNX"], resources: [.copy("Goldens")]),
    .testTarget(
      name: "QuantizationTests",
      dependencies: ["Quantization", "Export", "Lowering", "Encoder", "Kernels", "ONNX", "SQuAD", "SpanQADefaultModel"]),
    // The random numbers of tests.
    .target(name: "SeededRandom", path: "Tests/SeededRandom"),
    .testTarget(
      name: "CheckpointsTests", dependencies: ["Checkpoints", "Encoder", "SeededRandom"], exclude: ["Goldens", "make_checkpoints.py"]),
    .testTarget(name: "FineTuningTests", dependencies: ["FineTuning", "Encoder", "Observation"], exclude: ["Goldens", "make_training.py"]),
    .testTarget(
      name: "ModelFoldersTests", dependencies: ["ModelFolders", "SpanQA", "Checkpoints", "Export", "Encoder", "ONNX"],
      exclude: ["Goldens", "compare_exports.py", "make_sources.py"]),
    .testTarget(
      name: "SpanQACommandTests",
      dependencies: ["SpanQACommand", "SpanQA", "Checkpoints", "Encoder", "FineTuning", "RandomModels", "SeededRandom", "Export", "ONNX"]),
    .testTarget(
      name: "SpanQATests", dependencies: ["SpanQA", "SpanQADefaultModel", "RandomModels", "SeededRandom", "Export", "ONNX", "SQuAD", "WordPiece"],
      exclude: ["Goldens", "check_offsets.py"]),
    // Small models for tests that are about what stands around a model.
    .target(name: "RandomModels", dependencies: ["Encoder", "SeededRandom"], path: "Tests/RandomModels"),
    .testTarget(
      name: "KernelsTests", dependencies: ["Kernels", "CKernels", "KernelCases", "SeededRandom"], exclude: ["fit_polynomials.py"]),
    // The kernels' test cases in C, which Tests/arm64 compiles for another processor too.
    .target(name: "KernelCases", dependencies: ["CKernels"], path: "Tests/KernelCases"),
    .testTarget(
      name: "InspectionTests",
      dependencies: [
        "Inspection", "SpanQA", "SpanQADefaultModel", "Observation", "Encoder", "Kernels", "Lowering", "ONNX", "Export", "RandomModels", "WordPiece",
      ],
      exclude: ["Goldens", "make_hooks.py"]),
    .testTarget(name: "EncoderTests", dependencies: ["Encoder", "Kernels", "AllocationCounter", "SeededRandom"]),
    .target(name: "AllocationCounter", path: "Tests/AllocationCounter"),
    .testTarget(
      name: "LoweringTests", dependencies: ["Lowering", "Encoder", "Interpreter", "ONNX"],
      exclude: ["Goldens", "make_forms.py", "runtime_values.py"]),
    .testTarget(name: "InterpreterTests", dependencies: ["Interpreter", "ONNX"], exclude: ["Goldens"]),
  ],
  swiftLanguageModes: [.v6],
  cLanguageStandard: .c17
)
