extension Tokenizer {
  /// The tokens of a text. No special tokens are added around it; those written in it are found.
  ///
  /// Takes time proportional to the text's length. The text is not copied if it is held as UTF-8, as native strings
  /// are.
  public func encode(_ text: String) -> Encoding {
    var text = text
    return text.withUTF8 { text in
      // Room for the longest word that is not unknown, the hashes of its prefixes, and what each byte came from.
      let capacity = 4 * options.maxWordCharacters
      return withUnsafeTemporaryAllocation(of: UInt8.self, capacity: capacity) { word in
        withUnsafeTemporaryAllocation(of: UInt64.self, capacity: capacity) { hashes in
          withUnsafeTemporaryAllocation(of: Int.self, capacity: capacity) { sources in
            guard let word = word.baseAddress, let hashes = hashes.baseAddress, let sources = sources.baseAddress else {
              return Encoding()
            }
            return vocabulary.table.withView { initial in
              continuingPieces.withView { continuing in
                var pass = EncodingPass(
                  tokenizer: self, text: text, initial: initial, continuing: continuing,
                  word: word, hashes: hashes, sources: sources)
                pass.encode()
                return pass.encoding
              }
            }
          }
        }
      }
    }
  }
}

/// One pass over one text. ASCII words go straight from the text's bytes to the table; a stretch with anything else in
/// it is normalised scalar by scalar.
private struct EncodingPass {
  /// A scalar on its way through normalisation, and the bytes of the text that it came from.
  struct Unit {
    var scalar: UInt32
    var properties: UInt8
    var combiningClass: UInt8 = 0
    /// Not the first scalar of a decomposition.
    var isAddition = false
    var start: Int
    var end: Int
  }

  /// A piece of the word, in bytes of the normalised word.
  struct Piece {
    var start: Int
    var end: Int
    var id: Int32
  }

  let tokenizer: Tokenizer
  let text: UnsafeBufferPointer<UInt8>
  let initial: PieceTable.View
  let continuing: PieceTable.View
  let word: UnsafeMutablePointer<UInt8>
  let hashes: UnsafeMutablePointer<UInt64>
  /// For each byte of `word` the index of its unit.
  let sources: UnsafeMutablePointer<Int>

  private let unicode = UnicodeData.shared
  private let unknownID: Int32
  private let maxWordCharacters: Int
  private let lowercase: Bool
  private let stripAccents: Bool
  private let handleChineseCharacters: Bool

  private(set) var encoding = Encoding()
  private var wordNumber: Int32 = 0
  private var units: [Unit] = []
  private var decomposed: [Unit] = []
  private var pieces: [Piece] = []

  init(
    tokenizer: Tokenizer, text: UnsafeBufferPointer<UInt8>, initial: PieceTable.View, continuing: PieceTable.View,
    word: UnsafeMutablePointer<UInt8>, hashes: UnsafeMutablePointer<UInt64>, sources: UnsafeMutablePointer<Int>
  ) {
    self.tokenizer = tokenizer
    self.text = text
    self.initial = initial
    self.continuing = continuing
    self.word = word
    self.hashes = hashes
    self.sources = sources
    unknownID = tokenizer.unknownID
    maxWordCharacters = tokenizer.options.maxWordCharacters
    lowercase = tokenizer.options.lowercase
    stripAccents = tokenizer.options.stripAccents ?? tokenizer.options.lowercase
    handleChineseCharacters = tokenizer.options.handleChineseCharacters
  }

  mutating func encode() {
    // English has four to five bytes a token.
    let expected = text.count / 4 + 8
    encoding.ids.reserveCapacity(expected)
    encoding.offsets.reserveCapacity(expected)
    encoding.words.reserveCapacity(expected)
    var position = 0
    while let (id, range) = tokenizer.addedTokens.next(in: text, from: position) {
      encode(position..<range.lowerBound)
      append(id, range.lowerBound, range.upperBound)
      wordNumber &+= 1
      position = range.upperBound
    }
    encode(position..<text.count)
  }

  @inline(__always)
  private mutating func append(_ id: Int32, _ start: Int, _ end: Int) {
    encoding.ids.append(id)
    encoding.offsets.append(Range(uncheckedBounds: (start, end)))
    encoding.words.append(wordNumber)
  }

  /// Encodes a part of the text without added tokens.
  private mutating func encode(_ part: Range<Int>) {
    tokenizer.byteClasses.withUnsafeBufferPointer { classes in
      tokenizer.folded.withUnsafeBufferPointer { folded in
        encode(part, classes, folded)
      }
    }
  }

  private mutating func encode(
    _ part: Range<Int>, _ classes: UnsafeBufferPointer<Tokenizer.ByteClass>, _ folded: UnsafeBufferPointer<UInt8>
  ) {
    var position = part.lowerBound
    let end = part.upperBound
    while position < end {
      let byte = text[position]
      switch classes[Int(byte)] {
      case .space:
        position += 1
      case .punctuation:
        word[0] = byte
        encodeASCIIWord(at: position, count: 1, hash: PieceTable.extend(PieceTable.seed, byte))
        position += 1
      case .letter, .other:
        let start = position
        var hash = PieceTable.seed
        while position < end, classes[Int(text[position])] == .letter {
          let byte = folded[Int(text[position])]
          if position - start < maxWordCharacters { word[position - start] = byte }
          hash = PieceTable.extend(hash, byte)
          position += 1
        }
        if position == end || classes[Int(text[position])] != .other {
          encodeASCIIWord(at: start, count: position - start, hash: hash)
          continue
        }
        // White space and punctuation of ASCII never change and nothing is reordered across them, so that what lies
        // between two of them can be normalised by itself.
        while position < end, classes[Int(text[position])] == .letter || classes[Int(text[position])] == .other {
          position += 1
        }
        encodeScalars(start..<position)
      }
    }
  }

  /// Encodes a word of ASCII that lies in `word`, as far as it fits.
  @inline(__always)
  private mutating func encodeASCIIWord(at start: Int, count: Int, hash: UInt64) {
    if count > maxWordCharacters {
      append(unknownID, start, start + count)
    } else if let id = initial.find(hash, word, count) {
      append(id, start, start + count)
    } else if findPieces(count: count) {
      for piece in pieces { append(piece.id, start + piece.start, start + piece.end) }
    } else {
      append(unknownID, start, start + count)
    }
    wordNumber &+= 1
  }

  /// Splits the `count` bytes of `word` by the greedy longest match into `pieces`. False if there is no piece for some
  /// place.
  private mutating func findPieces(count: Int) -> Bool {
    pieces.removeAll(keepingCapacity: true)
    var start = 0
    var table = initial
    while start < count {
      var length = min(count - start, table.longest)
      var hash = PieceTable.seed
      for index in 0..<length {
        hash = PieceTable.extend(hash, word[start + index])
        hashes[index] = hash
      }
      var found: Int32?
      while length > 0 {
        // Not in the middle of a scalar, where no piece can end.
        if start + length == count || word[start + length] & 0xC0 != 0x80 {
          found = table.find(hashes[length - 1], word + start, length)
          if found != nil { break }
        }
        length -= 1
      }
      guard let found else { return false }
      pieces.append(Piece(start: start, end: start + length, id: found))
      start += length
      table = continuing
    }
    return true
  }

  // MARK: Any text

  /// Encodes a part of the text that no scalar outside takes part in the normalisation of.
  private mutating func encodeScalars(_ part: Range<Int>) {
    let seen = decode(part)
    if stripAccents {
      // Reordering changes nothing but what is combined, and decompositions bring marks in.
      if seen & (UnicodeData.decomposes | UnicodeData.combines) != 0 { decompose() }
      units.removeAll { $0.properties & UnicodeData.mark != 0 }
    }
    var index = 0
    while index < units.count {
      let properties = units[index].properties
      if properties & UnicodeData.space != 0 {
        index += 1
        continue
      }
      let start = index
      index += 1
      if properties & UnicodeData.punctuation == 0 {
        while index < units.count, units[index].properties & (UnicodeData.space | UnicodeData.punctuation) == 0 {
          index += 1
        }
      }
      encodeWord(start..<index)
    }
  }

  /// Cleans a part of the text and sets its ideographs apart, into `units`. Gives all properties that there are.
  private mutating func decode(_ part: Range<Int>) -> UInt8 {
    units.removeAll(keepingCapacity: true)
    var seen: UInt8 = 0
    var position = part.lowerBound
    while position < part.upperBound {
      let start = position
      let first = UInt32(text[position])
      // Swift's strings are valid UTF-8: a first byte tells the length, and the others are there.
      let length = first < 0x80 ? 1 : first < 0xE0 ? 2 : first < 0xF0 ? 3 : 4
      var scalar = length == 1 ? first : first & (0xFF >> UInt32(length + 1))
      for index in 1..<length { scalar = scalar << 6 | UInt32(text[start + index]) & 0x3F }
      position += length
      let properties = unicode.properties(of: scalar)
      if properties & UnicodeData.removed != 0 { continue }
      seen |= properties
      let unit = Unit(scalar: scalar, properties: properties, start: start, end: position)
      if properties & UnicodeData.space != 0 {
        units.append(space(start, position))
      } else if properties & UnicodeData.chinese != 0, handleChineseCharacters {
        units.append(space(start, position))
        units.append(unit)
        units.append(space(start, position))
      } else {
        units.append(unit)
      }
    }
    return seen
  }

  private func space(_ start: Int, _ end: Int) -> Unit {
    Unit(scalar: 0x20, properties: UnicodeData.space, start: start, end: end)
  }

  /// Brings `units` into canonical decomposition (NFD), and aligns it with the text as `tokenizers` does: the first
  /// scalar of each decomposition takes the next place in the text, the others the place before, in their order after
  /// reordering.
  private mutating func decompose() {
    decomposed.removeAll(keepingCapacity: true)
    var combiningStart = 0
    for unit in units {
      if unit.properties & UnicodeData.decomposes != 0 {
        var isAddition = false
        unicode.decompose(unit.scalar) { scalar in
          push(scalar, isAddition: isAddition, &combiningStart)
          isAddition = true
        }
      } else {
        push(unit.scalar, isAddition: false, &combiningStart)
      }
    }
    reorder(from: combiningStart)

    var next = 0
    for index in decomposed.indices {
      let place = decomposed[index].isAddition ? max(next - 1, 0) : next
      decomposed[index].start = units[place].start
      decomposed[index].end = units[place].end
      if !decomposed[index].isAddition { next += 1 }
    }
    swap(&units, &decomposed)
  }

  /// Adds a scalar to `decomposed`, where those from `combiningStart` on wait to be put in order.
  private mutating func push(_ scalar: UInt32, isAddition: Bool, _ combiningStart: inout Int) {
    let properties = unicode.properties(of: scalar)
    let combines = properties & UnicodeData.combines != 0
    if !combines { reorder(from: combiningStart) }
    decomposed.append(
      Unit(
        scalar: scalar, properties: properties, combiningClass: combines ? unicode.combiningClass(scalar) : 0,
        isAddition: isAddition, start: 0, end: 0))
    if !combines { combiningStart = decomposed.count }
  }

  /// Sorts the units from an index on by combining class; equal ones stay in their order.
  private mutating func reorder(from start: Int) {
    let run = decomposed[start...]
    guard zip(run, run.dropFirst()).contains(where: { $0.combiningClass > $1.combiningClass }) else { return }
    let sorted = run.enumerated().sorted {
      ($0.element.combiningClass, $0.offset) < ($1.element.combiningClass, $1.offset)
    }
    decomposed.replaceSubrange(start..., with: sorted.map(\.element))
  }

  /// Encodes a word of `units`.
  private mutating func encodeWord(_ range: Range<Int>) {
    var characters = 0
    var count = 0
    var hash = PieceTable.seed
    for index in range where characters <= maxWordCharacters {
      func put(_ scalar: UInt32) {
        characters += 1
        if characters > maxWordCharacters { return }
        guard let encoded = Unicode.Scalar(scalar).flatMap(UTF8.encode) else { return }
        for byte in encoded {
          word[count] = byte
          sources[count] = index
          hash = PieceTable.extend(hash, byte)
          count += 1
        }
      }
      let unit = units[index]
      if lowercase, unit.properties & UnicodeData.lowercases != 0 {
        unicode.lowercase(unit.scalar, put)
      } else {
        put(unit.scalar)
      }
    }
    let (start, end) = (units[range.lowerBound].start, units[range.upperBound - 1].end)
    if characters > maxWordCharacters {
      append(unknownID, start, end)
    } else if let id = initial.find(hash, word, count) {
      append(id, start, end)
    } else if findPieces(count: count) {
      for piece in pieces {
        append(piece.id, units[sources[piece.start]].start, units[sources[piece.end - 1]].end)
      }
    } else {
      append(unknownID, start, end)
    }
    wordNumber &+= 1
  }
}
