import Kernels

/// Scaled dot-product attention of each head over each sequence's own rows (Vaswani et al. 2017):
///
///     S = q · kᵀ / √d,  P = softmax(S) by rows,  context = dropout(P) · v
///
/// P is not kept: the backward pass computes it again from q and k, which costs one product in five and saves
/// `heads · length²` floats a sequence.
struct AttentionLayer {
  let heads: Int
  let headSize: Int
  let computer: Computer

  private var hidden: Int { heads * headSize }
  private var scale: Float { 1 / Float(headSize).squareRoot() }

  /// `qkv` is `[tokens, 3 · hidden]`, `context` `[tokens, hidden]`; `scratch` has a square for each thread.
  func forward(_ qkv: Matrix, into context: Matrix, batch: TrainingBatch, dropout: Dropout?, scratch: AttentionScratch) {
    computer.forEachHead(of: batch, heads: heads) { thread, sequence, head in
      let part = Part(qkv, rows: batch.tokens.rows(ofSequence: sequence), head: head, headSize: headSize)
      let weights = scratch.square(0, thread: thread, length: part.query.rows)
      softmax(of: part, into: weights)
      drop(weights, batch.numbers[sequence], head: head, dropout)
      let out = context.block(rows: part.rows, columns: part.columns)
      Computer.multiplyHere(weights, part.value, into: out)
    }
  }

  /// From dO = ∂loss/∂context, with M the dropout mask and P̃ = P · M element by element:
  ///
  ///     dv = P̃ᵀ · dO
  ///     dP = (dO · vᵀ) · M
  ///     dS = P · (dP − Σ over the row of P · dP)
  ///     dq = dS · k / √d
  ///     dk = dSᵀ · q / √d
  func backward(
    _ dContext: Matrix, qkv: Matrix, into dqkv: Matrix, batch: TrainingBatch, dropout: Dropout?, scratch: AttentionScratch
  ) {
    computer.forEachHead(of: batch, heads: heads) { thread, sequence, head in
      let rows = batch.tokens.rows(ofSequence: sequence)
      let part = Part(qkv, rows: rows, head: head, headSize: headSize)
      let gradient = Part(dqkv, rows: rows, head: head, headSize: headSize)
      let dOut = dContext.block(rows: part.rows, columns: part.columns)
      let length = rows.count
      let number = batch.numbers[sequence]
      let weights = scratch.square(0, thread: thread, length: length)
      let d = scratch.square(1, thread: thread, length: length)

      softmax(of: part, into: weights)
      if dropout != nil {
        // `d` holds P̃ until dv is done.
        d.start.update(from: weights.start, count: length * length)
        drop(d, number, head: head, dropout)
        Computer.multiplyHere(d.transposed, dOut, into: gradient.value)
      } else {
        Computer.multiplyHere(weights.transposed, dOut, into: gradient.value)
      }
      Computer.multiplyHere(dOut, part.value.transposed, into: d)
      drop(d, number, head: head, dropout)
      for row in 0..<length {
        let (p, d) = (weights[row], d[row])
        let share = sum(count: length, lanes: { p.lanes($0) * d.lanes($0) }, one: { p[$0] * d[$0] })
        for i in 0..<length { d[i] = p[i] * (d[i] - share) * scale }
      }
      Computer.multiplyHere(d, part.key, into: gradient.query)
      Computer.multiplyHere(d.transposed, part.query, into: gradient.key)
    }
  }

  /// weights = softmax(q · kᵀ / √d)
  private func softmax(of part: Part, into weights: Matrix) {
    Computer.multiplyHere(part.query, part.key.transposed, into: weights)
    for row in 0..<weights.rows {
      let values = weights[row]
      let factor = 1 / computer.kernels.softmax(values, count: weights.columns, scale: scale)
      for i in 0..<weights.columns { values[i] *= factor }
    }
  }

  private func drop(_ x: Matrix, _ sequence: Int, head: Int, _ dropout: Dropout?) {
    dropout?.apply(x.start, count: x.rows * x.columns, sequence: sequence, first: head * x.rows * x.columns)
  }

  /// The query, key and value of one head over one sequence, `[length, headSize]` each.
  private struct Part {
    let rows, columns: Range<Int>
    let query, key, value: Matrix

    init(_ qkv: Matrix, rows: Range<Int>, head: Int, headSize: Int) {
      let hidden = qkv.columns / 3
      self.rows = rows
      columns = head * headSize..<(head + 1) * headSize
      func part(_ index: Int) -> Matrix {
        let first = index * hidden + head * headSize
        return qkv.block(rows: rows, columns: first..<first + headSize)
      }
      (query, key, value) = (part(0), part(1), part(2))
    }
  }
}

/// Two squares of a sequence's length for each thread.
final class AttentionScratch {
  private let storage: FloatStorage
  private let room: Int

  init(longest: Int, threads: Int) {
    // Whole cache lines, so that no two threads write to one.
    room = (longest * longest + 15) / 16 * 16
    storage = FloatStorage(count: 2 * room * threads)
  }

  func square(_ index: Int, thread: Int, length: Int) -> Matrix {
    storage.matrix(length, length, offset: (2 * thread + index) * room)
  }
}

extension Computer {
  /// Calls `body` with every head of every sequence, and the number of the thread.
  fileprivate func forEachHead(of batch: TrainingBatch, heads: Int, _ body: (_ thread: Int, _ sequence: Int, _ head: Int) -> Void) {
    ThreadPool.shared.shareOut(batch.tokens.sequenceCount * heads, threads: threads) { thread, task in
      body(thread, task / heads, task % heads)
    }
  }
}
