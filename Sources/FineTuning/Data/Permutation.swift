/// The numbers below a count in an order that a key decides (Fisher & Yates).
public struct Permutation: Sendable {
  public let order: [Int]

  init(count: Int, key: UInt64) {
    var order = Array(0..<count)
    for index in order.indices.dropFirst().reversed() {
      // The high half of the product: a number below index + 1.
      let word = CounterGenerator.word(key: key, index: UInt64(index))
      order.swapAt(index, Int(word.multipliedFullWidth(by: UInt64(index + 1)).high))
    }
    self.order = order
  }

  /// The order of a training set's examples in an epoch, counted from 0.
  public init(count: Int, seed: UInt64, epoch: Int) {
    self.init(count: count, key: CounterGenerator.mix(seed ^ CounterGenerator.mix(UInt64(epoch) &+ 1)))
  }
}
