import Foundation
import Interpreter
import ONNX
import Testing

/// Every operator against ONNX Runtime, on the cases of `make_operators.py`.
@Suite("Operators against ONNX Runtime")
struct OperatorTests {
  private static func cases() throws -> [OperatorCase] {
    let file = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "Goldens/operators.json")
    return try JSONDecoder().decode([OperatorCase].self, from: Data(contentsOf: file))
  }

  @Test func agreeWithONNXRuntime() throws {
    let cases = try Self.cases()
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

  /// The same calls with one attribute or input that makes no sense: a value or a typed error, never a crash.
  @Test func damagedCallsAreErrors() throws {
    var (results, errors) = (0, 0)
    for test in try Self.cases() {
      let original = try test.decodedModel()
      let inputs = try test.inputs.mapValues { try Value($0.tensor()) }
      for (model, inputs) in Damage.mutants(of: original, inputs) {
        do {
          _ = try Interpreter(model).run(inputs)
          results += 1
        } catch {
          errors += 1
          #expect(!error.description.contains("\n"))
        }
      }
    }
    print("damaged calls: \(results) gave values, \(errors) were errors")
    #expect(results > 0 && errors > 0)
  }
}

/// What can be wrong with a call of an operator.
private enum Damage {
  private static let numbers: [Int64] = [.min, .max, -1, 0, 7, 1 << 33]

  static func mutants(of model: Model, _ inputs: [String: Value]) -> [(Model, [String: Value])] {
    guard let node = model.graph.nodes.first else { return [] }
    var base = model
    // The checks of the graph's inputs would hide those of the operator.
    base.graph.inputs = inputs.keys.sorted().map { ValueInfo(name: $0) }
    var result: [(Model, [String: Value])] = []
    func add(_ change: (inout Node) -> Void) {
      var changed = base
      change(&changed.graph.nodes[0])
      result.append((changed, inputs))
    }
    for index in node.inputs.indices { add { $0.inputs[index] = "" } }
    if node.inputs.count > 1 { add { $0.inputs.swapAt(0, 1) } }
    add { $0.inputs.removeLast(min(1, $0.inputs.count)) }
    for (name, attribute) in node.attributes {
      add { $0.attributes[name] = nil }
      switch attribute {
      case .int: for number in numbers { add { $0.attributes[name] = .int(number) } }
      case .ints(let old):
        for number in numbers { add { $0.attributes[name] = .ints(old.dropLast() + [number]) } }
        add { $0.attributes[name] = .ints([]) }
      case .float: for number in [Float.nan, .infinity, 0, -1] { add { $0.attributes[name] = .float(number) } }
      default: add { $0.attributes[name] = .string("nonsense") }
      }
    }
    for (name, value) in inputs {
      func feed(_ new: Value?) {
        guard let new else { return }
        result.append((base, inputs.merging([name: new]) { $1 }))
      }
      let type = value.elementType
      for shape in [[], [0], [1, 0, 3], [2, 3], [5], [1, 1, 1, 1, 1]] {
        feed(try? Value(shape: shape, int64s: [Int64](repeating: 1, count: shape.reduce(1, *)), as: type))
      }
      guard type == .int64 || type == .int32 else { continue }
      for number in numbers {
        feed(try? Value(shape: value.shape, int64s: [Int64](repeating: number, count: value.count), as: type))
      }
    }
    return result
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
