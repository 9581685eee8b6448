import SeededRandom
import Testing

@testable import Kernels

/// Every kernel of every set that runs here against the Swift reference: the same bits, over shapes that straddle lanes and tiles.
struct KernelAgreementTests {
  static let sets = KernelSet.available.filter { $0 != .reference }
  static let reference = try! KernelSet(.reference)
  static let lengths = [1, 2, 7, 15, 16, 17, 31, 32, 33, 48, 63, 64, 65, 100, 384, 769]

  @Test(arguments: sets)
  func everyKernelComesFromASetThatRunsHere(_ name: KernelSet.Name) throws {
    let set = try KernelSet(name)
    #expect(!set.origins.isEmpty)
    for origin in set.origins {
      #expect(KernelSet.reasonUnavailable(origin.set) == nil)
      #expect(origin.set != .reference, "\(origin.kernel) of \(name) would be tested against itself")
    }
  }

  @Test(arguments: sets)
  func rowEpilogues(_ name: KernelSet.Name) throws {
    let set = try KernelSet(name)
    var random = SplitMix64(seed: 1)
    for length in Self.lengths {
      let bias = random.floats(length, in: -1...1)
      let row = random.floats(length, in: -6...6)
      for epilogue in [KernelSet.Epilogue.bias, .biasGELU, .biasGELUTanh] {
        expectSameBits(
          applied(set) { $0.finish($1, bias: bias, count: length, epilogue: epilogue) },
          applied(Self.reference) { $0.finish($1, bias: bias, count: length, epilogue: epilogue) },
          "\(epilogue), \(length) elements")
      }
      func applied(
        _ set: KernelSet, _ kernel: (KernelSet, UnsafeMutablePointer<Float>) -> Void
      ) -> [Float] {
        var copy = row
        copy.withUnsafeMutableBufferPointer { kernel(set, $0.baseAddress!) }
        return copy
      }
    }
  }

  @Test(arguments: sets)
  func addAndNormalize(_ name: KernelSet.Name) throws {
    let set = try KernelSet(name)
    var random = SplitMix64(seed: 2)
    for length in Self.lengths {
      for (spread, withBias) in [(Float(1), true), (1e4, false), (1e-6, true)] {
        let residual = random.floats(length, in: -spread...spread)
        let x = random.floats(length, in: -spread...spread)
        let bias = withBias ? random.floats(length, in: -1...1) : nil
        let scale = random.floats(length, in: 0.5...1.5)
        let shift = random.floats(length, in: -1...1)
        func run(_ set: KernelSet) -> [Float] {
          var copy = residual
          copy.withUnsafeMutableBufferPointer { copy in
            (bias ?? []).withUnsafeBufferPointer {
              set.addAndNormalize(
                residual: copy.baseAddress!, x: x, bias: bias == nil ? nil : $0.baseAddress, scale: scale, shift: shift,
                epsilon: 1e-12, count: length)
            }
          }
          return copy
        }
        expectSameBits(run(set), run(Self.reference), "\(length) elements up to \(spread)")
      }
    }
  }

  /// A score that is not finite, but for −∞, makes the whole row no number: nothing that follows may take it for one.
  @Test(arguments: KernelSet.available)
  func softmaxOfNoNumberIsNone(_ name: KernelSet.Name) throws {
    let set = try KernelSet(name)
    for bad in [Float.nan, .infinity] {
      for place in [0, 7, 16, 20] {
        var row = [Float](repeating: 0.5, count: 21)
        row[place] = bad
        let sum = row.withUnsafeMutableBufferPointer { set.softmax($0.baseAddress!, count: 21) }
        #expect(sum.isNaN && row[place].isNaN, "\(bad) at \(place)")
      }
    }
  }

  @Test(arguments: sets)
  func softmax(_ name: KernelSet.Name) throws {
    let set = try KernelSet(name)
    var random = SplitMix64(seed: 3)
    for length in Self.lengths {
      let row = random.floats(length, in: -100...30)
      func run(_ set: KernelSet) -> [Float] {
        var copy = row
        let sum = copy.withUnsafeMutableBufferPointer { set.softmax($0.baseAddress!, count: length) }
        return copy + [sum]
      }
      expectSameBits(run(set), run(Self.reference), "\(length) elements")
    }
  }

  @Test(arguments: sets)
  func multiply(_ name: KernelSet.Name) throws {
    let set = try KernelSet(name)
    var random = SplitMix64(seed: 4)
    for m in [1, 2, 5, 6, 7, 12, 13] {
      for n in [1, 2, 15, 16, 17, 63, 64, 65, 130] {
        for k in [1, 3, 16, 47, 801] {
          let a = random.floats(m * k, in: -1...1)
          let b = PackedFloatMatrix(k: k, parts: parts(of: random.floats(k * n, in: -1...1), k: k, n: n), threads: 1)
          let bias = random.floats(n, in: -1...1)
          for epilogue in [KernelSet.Epilogue.none, .bias, .biasGELU, .biasGELUTanh] {
            func run(_ set: KernelSet) -> [Float] {
              // A column more than the product has, to see that it stays untouched.
              var c = [Float](repeating: 7, count: m * (n + 1))
              c.withUnsafeMutableBufferPointer {
                set.multiply(
                  m: m, a: a, lda: k, b: b, columns: 0..<n, bias: bias, epilogue: epilogue, c: $0.baseAddress!,
                  ldc: n + 1)
              }
              return c
            }
            let result = run(set)
            #expect((0..<m).allSatisfy { result[$0 * (n + 1) + n] == 7 })
            expectSameBits(result, run(Self.reference), "[\(m), \(k)] · [\(k), \(n)], \(epilogue)")
          }
        }
      }
    }
  }

  @Test(arguments: sets, [KernelSet.AttentionArithmetic.float32, .fixedPoint])
  func attention(_ name: KernelSet.Name, _ arithmetic: KernelSet.AttentionArithmetic) throws {
    let set = try KernelSet(name)
    var random = SplitMix64(seed: 5)
    for count in [1, 2, 5, 16, 23, 24, 25, 63, 64, 65, 130] {
      for headSize in [1, 12, 16, 20, 32, 64, 80] {
        let stride = 3 * headSize + 5
        let input = random.floats(count * stride, in: -2...2)
        func run(_ set: KernelSet, count: Int = count, attended: Int) -> [Float] {
          var out = [Float](repeating: 7, count: count * (headSize + 1))
          let scratch = UnsafeMutableRawPointer.allocate(
            byteCount: KernelSet.attentionScratchCount(count: count, headSize: headSize) * 4, alignment: 64)
          defer { scratch.deallocate() }
          input.withUnsafeBufferPointer { input in
            let q = input.baseAddress!
            out.withUnsafeMutableBufferPointer {
              set.attention(
                q: q, k: q + headSize, v: q + 2 * headSize, stride: stride, count: count, attended: attended,
                headSize: headSize, scale: 1 / Float(headSize).squareRoot(), in: arithmetic, out: $0.baseAddress!,
                outStride: headSize + 1,
                scratch: scratch.assumingMemoryBound(to: Float.self))
            }
          }
          return out
        }
        expectSameBits(
          run(set, attended: count), run(Self.reference, attended: count), "\(count) tokens, head of \(headSize)")
        // Padding changes nothing for the tokens.
        let tokens = (count + 2) / 3
        let padded = run(set, attended: tokens)
        expectSameBits(
          padded, run(Self.reference, attended: tokens), "\(tokens) of \(count) tokens, head of \(headSize)")
        expectSameBits(
          Array(padded.prefix(tokens * (headSize + 1))), run(set, count: tokens, attended: tokens),
          "\(tokens) tokens, head of \(headSize), padded or not")
      }
    }
  }

  /// Fixed point beside float32, within what its roundings can do.
  @Test(arguments: [(1, 64), (24, 32), (100, 64), (384, 64), (384, 12), (130, 200)])
  func fixedPointIsClose(count: Int, headSize: Int) throws {
    let set = try KernelSet.chosen()
    var random = SplitMix64(seed: 6)
    // A range as of real heads: exponents differ by tens.
    let input = random.floats(count * 3 * headSize, in: -3...3)
    func run(_ arithmetic: KernelSet.AttentionArithmetic) -> [Float] {
      let scratch = UnsafeMutableRawPointer.allocate(
        byteCount: KernelSet.attentionScratchCount(count: count, headSize: headSize) * 4, alignment: 64)
      defer { scratch.deallocate() }
      return [Float](unsafeUninitializedCapacity: count * headSize) { out, initialized in
        input.withUnsafeBufferPointer {
          set.attention(
            q: $0.baseAddress!, k: $0.baseAddress! + headSize, v: $0.baseAddress! + 2 * headSize, stride: 3 * headSize,
            count: count, headSize: headSize, scale: 1 / Float(headSize).squareRoot(), in: arithmetic,
            out: out.baseAddress!, outStride: headSize, scratch: scratch.assumingMemoryBound(to: Float.self))
        }
        initialized = count * headSize
      }
    }
    // Half a step of queries and of keys, in each element of a sum; then half a step of each probability.
    let length = 3 * Float(headSize).squareRoot()
    let score = length * Float(headSize).squareRoot() / 2 * (2 * length / 32000) / Float(headSize).squareRoot()
    let probabilities = Float(count) / 2 / 32767
    let bound = 3 * (4 * score + probabilities) + 0.001
    let worst = zip(run(.fixedPoint), run(.float32)).map { ($0 - $1).magnitude }.max() ?? .infinity
    #expect(worst <= bound, "\(count) tokens, head of \(headSize): \(worst), not below \(bound)")
    // Roundings are not all in one direction: in fact far less.
    #expect(worst <= 0.003)
  }
}

/// Fails with the first differing element, if any.
func expectSameBits(_ found: [Float], _ expected: [Float], _ what: String, sourceLocation: SourceLocation = #_sourceLocation) {
  #expect(found.count == expected.count, sourceLocation: sourceLocation)
  if let index = zip(found, expected).enumerated().first(where: { $1.0.bitPattern != $1.1.bitPattern })?.offset {
    Issue.record(
      "\(what): element \(index) is \(found[index]), not \(expected[index])", sourceLocation: sourceLocation)
  }
}
