import Encoder
import Testing

@Suite struct WeightQuantizationTests {
  /// Rows and columns that do and do not fill whole vectors.
  static let shapes = [[1, 1], [3, 16], [5, 17], [16, 31], [7, 64], [2, 15]]

  @Test(arguments: shapes) func integersAreTheNearestOnes(shape: [Int]) {
    for layout in [DistilBERT.Weights.Layout.inputsByOutputs, .outputsByInputs] {
      for perChannel in [true, false] {
        var random = RandomNumbers(seed: 3)
        let values = random.floats(shape[0] * shape[1], reach: 0.3)
        let weights = DistilBERT.Weights(values: Parameter(values, shape: shape), layout: layout)
        let quantized = weights.quantized(perChannel: perChannel)
        let integers = quantized.values.floats()
        let scales = quantized.quantization?.scales ?? []
        #expect(scales.count == (perChannel ? weights.outputs : 1))
        for index in values.indices {
          let output = layout == .inputsByOutputs ? index % shape[1] : index / shape[1]
          let scale = scales[perChannel ? output : 0]
          #expect(integers[index] == (values[index] / scale).rounded(.toNearestOrEven))
        }
        // Each scale is used to the full.
        for channel in scales.indices {
          let members = values.indices.filter {
            !perChannel || (layout == .inputsByOutputs ? $0 % shape[1] : $0 / shape[1]) == channel
          }
          #expect(members.map { integers[$0].magnitude }.max() == 127)
        }
      }
    }
  }

  @Test func tablesHaveAScaleARow() {
    var random = RandomNumbers(seed: 4)
    let values = random.floats(5 * 33, reach: 1)
    let table = DistilBERT.EmbeddingTable(values: Parameter(values, shape: [5, 33])).quantized()
    #expect(table.quantization?.scales.count == 5)
    for (exact, rounded) in zip(values, table.floats()) { #expect(abs(exact - rounded) <= 0.5001 / 127) }
  }

  @Test func zerosHaveAScaleThatOtherReadersTake() {
    let weights = DistilBERT.Weights(
      values: Parameter([0, 1, 0, -2] as [Float], shape: [2, 2]), layout: .inputsByOutputs
    ).quantized()
    #expect(weights.quantization?.scales == [1, 2 / 127 as Float])
    #expect(weights.values.floats() == [0, 64, 0, -127])
  }

  @Test(arguments: [Float.nan, .infinity]) func whatIsNotFiniteShowsInTheScale(value: Float) {
    let weights = DistilBERT.Weights(
      values: Parameter([value, 1, 0.5, -2], shape: [2, 2]), layout: .inputsByOutputs
    ).quantized()
    #expect(weights.quantization?.scales.map(\.isFinite) == [false, true])
  }
}
