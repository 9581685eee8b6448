import Kernels
import Observation
import SeededRandom
import Testing

@testable import Encoder

/// What a pass shows of its int8 products.
struct Int8OperandsTests {
  private static var linears: [(part: WritableKeyPath<DistilBERT.Layer, DistilBERT.Linear>, result: LinearResult)] {
    [
      (\.query, .query), (\.key, .key), (\.value, .value), (\.attentionOutput, .attentionOutput), (\.expand, .expanded),
      (\.contract, .contracted),
    ]
  }

  enum Form: CaseIterable {
    case dynamic, signed, unsigned, factors, weightZeroPoints, unsignedWeights, rounded
  }

  private static func model(_ form: Form) throws -> DistilBERT {
    var model = TinyModel(EncoderTests.shapes[0], seed: 33).model
    for layer in model.layers.indices {
      for (part, _) in linears {
        var weights = model.layers[layer][keyPath: part].weights
        if form == .factors { weights.inputFactors = (0..<weights.inputs).map { 0.5 + Float($0 % 7) / 4 } }
        let activation: DistilBERT.ActivationQuantization =
          switch form {
          case .signed: .fixed(scale: 0.05, zeroPoint: -9, signed: true)
          case .unsigned, .rounded: .fixed(scale: 0.05, zeroPoint: 100, signed: false)
          default: .dynamic
          }
        weights = weights.quantized(activation: activation)
        if form == .weightZeroPoints, var quantization = weights.quantization {
          quantization.zeroPoints = quantization.zeroPoints.indices.map { Int32($0 % 5) - 2 }
          weights.quantization = quantization
        }
        if form == .unsignedWeights, let quantization = weights.quantization {
          let bytes = weights.values.floats().map { UInt8($0 + 128) }
          weights = DistilBERT.Weights(
            values: Parameter(shape: weights.values.shape, elementType: .uint8, bytes: ConstantBytes(bytes)), layout: weights.layout,
            quantization: .init(scales: quantization.scales, zeroPoints: quantization.scales.map { _ in 131 }), activation: activation)
        }
        model.layers[layer][keyPath: part].weights = weights
      }
    }
    if form == .rounded {
      let rounding = try #require(Rounding(scale: 0.05, zeroPoint: 3, integers: .int8))
      var layer = DistilBERT.Roundings.Layer()
      layer.queries = [.scale(1 / Float(model.configuration.headSize).squareRoot())]
      layer.scores = [.round(rounding)]
      model.roundings = DistilBERT.Roundings(
        embeddings: .sum(.words, .positions), embeddingSum: [rounding], layers: model.layers.map { _ in layer },
        head: DistilBERT.Roundings.Linear())
    }
    return model
  }

  private static func pass(_ encoder: Encoder) throws -> (names: [String], tensors: [String: ObservedTensor]) {
    var names: [String] = []
    var tensors: [String: ObservedTensor] = [:]
    let observer = Observer(
      selecting: { _ in true },
      tensor: { tensor in
        names.append(tensor.name)
        tensors[tensor.name] = tensor
      })
    _ = try encoder.forward(PackedBatch([EncoderTests.sequences[2]]), observer: observer)
    return (names, tensors)
  }

  /// The layer's result is what its operands make, by the formula; and the operands are the quantised input.
  @Test(arguments: Form.allCases)
  func makeTheLayersResult(_ form: Form) throws {
    let model = try Self.model(form)
    let (names, tensors) = try Self.pass(Encoder(model, threads: 2))
    #expect(names == (try Encoder(model)).tensorNames)
    let tokens = EncoderTests.sequences[2].count
    for (number, layer) in model.layers.enumerated() {
      for (part, result) in Self.linears {
        let name = result.name(inLayer: number)
        func tensor(_ part: Int8Operands.Part) -> ObservedTensor? { tensors[part.name(ofResult: name)] }
        let linear = layer[keyPath: part]
        let (inputs, outputs) = (linear.weights.inputs, linear.weights.outputs)
        let (input, scale) = (try #require(tensor(.input)), try #require(tensor(.inputScale)))
        let (weight, weightScale) = (try #require(tensor(.weight)), try #require(tensor(.weightScale)))
        #expect(input.shape == [tokens, inputs] && scale.shape == [tokens])
        #expect(weight.shape == [outputs, inputs] && weightScale.shape == [outputs])
        #expect(input.elements.typeName == (form == .unsigned || form == .rounded ? "uint8" : "int8"))
        #expect(weight.elements.typeName == "int8" && scale.elements.typeName == "float32")
        #expect((tensor(.inputZeroPoint)?.elements.typeName ?? "int32") == "int32")
        #expect((tensor(.inputZeroPoint) != nil) == [.signed, .unsigned, .rounded].contains(form))
        #expect((tensor(.inputFactors) != nil) == (form == .factors))
        #expect((tensor(.weightZeroPoint) != nil) == [.weightZeroPoints, .unsignedWeights].contains(form))

        let zero = tensor(.inputZeroPoint)?.values[0] ?? 0
        let (q, s, w, ws) = (input.values, scale.values, weight.values, weightScale.values)
        let wz = tensor(.weightZeroPoint)?.values ?? [Float](repeating: 0, count: outputs)
        let made = try #require(tensors[name]).values
        var worst: Float = 0
        for token in 0..<tokens {
          for output in 0..<outputs {
            let sum = (0..<inputs).reduce(0.0) {
              $0 + Double(q[token * inputs + $1] - zero) * Double(w[output * inputs + $1] - wz[output])
            }
            let expected = Float(sum * Double(s[token]) * Double(ws[output])) + linear.bias[output]
            worst = max(worst, abs(expected - made[token * outputs + output]))
          }
        }
        #expect(worst < 2e-5, "\(form), \(name): \(worst)")

        // The input of the layer that follows the norm, where nothing is rounded on the way.
        guard result == .expanded else { continue }
        let values = try #require(tensors["layer.\(number).attention.norm"]).values
        let factors = tensor(.inputFactors)?.values ?? [Float](repeating: 1, count: inputs)
        for (place, value) in values.enumerated() {
          let (scale, real) = (s[place / inputs], value * factors[place % inputs])
          let saturates = abs(real / scale) > 90
          #expect(saturates || abs((q[place] - zero) * scale - real) <= scale * 0.501, "\(form), \(name)")
        }
      }
    }
  }

  @Test func sameOnEveryKernelSet() throws {
    for form in [Form.dynamic, .unsigned, .factors] {
      let model = try Self.model(form)
      let expected = try Self.pass(Encoder(model, backend: CPUBackend(threads: 1, kernels: KernelSet(.portable)))).tensors
      let operands = expected.filter { Encoder.isInt8Operand($0.key) }
      #expect(operands.count >= model.layers.count * 6 * 4)
      for name in KernelSet.available {
        let found = try Self.pass(Encoder(model, backend: CPUBackend(threads: 2, kernels: KernelSet(name)))).tensors
        for (operand, tensor) in operands { #expect(found[operand] == tensor, "\(name), \(operand)") }
      }
    }
  }

  /// Only what is asked for is made; a float layer has none.
  @Test func onlyWhatIsAskedFor() throws {
    let model = TinyModel(EncoderTests.shapes[0], seed: 34).model
    var names: [String] = []
    let observer = Observer(selecting: { $0.hasSuffix("output.int8.input_scale") }, tensor: { names.append($0.name) })
    _ = try Encoder(model, precision: .int8).forward(PackedBatch([[1, 2, 3]]), observer: observer)
    #expect(
      names == (0..<2).flatMap { layer in ["attention", "feed_forward"].map { "layer.\(layer).\($0).output.int8.input_scale" } })
    #expect(!(try Encoder(model, precision: .float32)).tensorNames.contains(where: Encoder.isInt8Operand))
  }
}
