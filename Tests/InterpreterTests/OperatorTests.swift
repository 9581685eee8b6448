import Foundation
import Interpreter
import ONNX
import Testing

/// Every operator against ONNX Runtime, on the cases of `make_operators.py`.
@Suite("Operators against ONNX Runtime")
struct OperatorTests {
  @Test func agreeWithONNXRuntime() throws {
    let file = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "Goldens/operators.json")
    let cases = try JSONDecoder().decode([OperatorCase].self, from: Data(contentsOf: file))
    var compared: [String: Int] = [:]
    for (index, test) in cases.enumerated() {
      do {
        let interpreter = try Interpreter(try test.decodedModel())
        let results = try interpreter.run(try test.inputs.mapValues { try Value($0.tensor()) })
        for (name, golden) in test.outputs.sorted(by: { $0.key < $1.key }) {
          let expected = try Value(golden.tensor())
          let found = try #require(results[name])
          if let difference = test.difference(found, expected) {
            Issue.record("case \(index), \(test.name): output \(name): \(difference)")
          }
        }
        compared[test.operator, default: 0] += 1
      } catch {
        Issue.record("case \(index), \(test.name): \(error)")
      }
    }
    try #require(!compared.isEmpty)
    print(compared.sorted { $0.key < $1.key }.map { "\($0.key) \($0.value)" }.joined(separator: ", "))
    print("compared \(compared.values.reduce(0, +)) cases of \(compared.count) operators")
  }
}

/// A model of one node, its inputs and ONNX Runtime's outputs.
private struct OperatorCase: Decodable {
  let name: String
  let `operator`: String
  /// The model's file in base 64.
  let model: Data
  /// How many products or terms one element of the result sums up.
  let terms: Int
  let inputs: [String: GoldenTensor]
  let outputs: [String: GoldenTensor]

  func decodedModel() throws -> Model { try Model(bytes: TensorBytes([UInt8](model)), name: name) }

  /// What differs between a value and the one expected, or nil: integers exactly, floats beyond rounding.
  func difference(_ found: Value, _ expected: Value) -> String? {
    guard found.elementType == expected.elementType, found.shape == expected.shape else {
      return "is \(found.elementType) \(found.shape), expected \(expected.elementType) \(expected.shape)"
    }
    guard let floats = try? (found: found.doubles(), expected: expected.doubles()) else {
      return found == expected ? nil : "is \(found.storage), expected \(expected.storage)"
    }
    // Each sum and each of the few steps before it may round once, in the direction of the largest terms.
    let largest = floats.expected.filter(\.isFinite).map(\.magnitude).max() ?? 0
    let bound = Double(8 + terms) * max(largest, unit) * rounding(expected.elementType)
    for (index, (found, expected)) in zip(floats.found, floats.expected).enumerated() {
      let agrees = found == expected || (found.isNaN && expected.isNaN) || abs(found - expected) <= bound
      guard agrees else { return "element \(index) is \(found), expected \(expected), bound \(bound)" }
    }
    return nil
  }

  /// The size of the terms that may have cancelled: in sums, and in GELU's 1 + erf or 1 + tanh.
  private var unit: Double { terms > 1 || isGELU ? 1 : 0 }

  private var isGELU: Bool { self.operator.hasSuffix("Gelu") }

  /// The largest relative error of one rounding. (ONNX Runtime's GELU has constants of single precision.)
  private func rounding(_ type: ElementType) -> Double {
    isGELU && type == .double ? ElementType.float.rounding : type.rounding
  }
}

/// A tensor as `[type, shape, bytes in base 64]`.
private struct GoldenTensor: Decodable {
  let type: Int32
  let shape: [Int]
  let bytes: Data

  init(from decoder: any Decoder) throws {
    var container = try decoder.unkeyedContainer()
    type = try container.decode(Int32.self)
    shape = try container.decode([Int].self)
    bytes = try container.decode(Data.self)
  }

  func tensor() throws -> Tensor {
    try Tensor(elementType: try #require(ElementType(rawValue: type)), shape: shape, bytes: TensorBytes([UInt8](bytes)))
  }
}

extension ElementType {
  /// The largest relative error of one rounding.
  fileprivate var rounding: Double {
    switch self {
    case .double: 0x1p-53
    case .float16: 0x1p-11
    case .bfloat16: 0x1p-8
    default: 0x1p-24
    }
  }
}
