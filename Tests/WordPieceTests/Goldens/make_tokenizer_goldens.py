#!/usr/bin/env python3
"""Writes the goldens of the WordPiece tests: for each string a hash of what the `tokenizers` library makes of it.

Made with: Python 3.11, tokenizers 0.22.2.   Usage: make_tokenizer_goldens.py ../../../../shared

The strings are not stored: GeneratedStrings.swift makes the same ones. A golden is a file of little-endian 32-bit
hashes, one for each string: FNV-1a (64 bits, folded to 32) over the 32-bit values id, start, end, word of every token,
offsets in Unicode scalars. With --show SET N it prints the string N of a set and its tokens instead.
"""

import array
import json
import pathlib
import sys

from tokenizers import AddedToken, Tokenizer, models, normalizers, pre_tokenizers

HERE = pathlib.Path(__file__).parent
MASK = (1 << 64) - 1
SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]


class Random:
    """SplitMix64."""

    def __init__(self, seed):
        self.state = seed

    def below(self, bound):
        self.state = (self.state + 0x9E3779B97F4A7C15) & MASK
        z = self.state
        z = ((z ^ z >> 30) * 0xBF58476D1CE4E5B9) & MASK
        z = ((z ^ z >> 27) * 0x94D049BB133111EB) & MASK
        return (z ^ z >> 31) % bound


# The kinds of strings, which GeneratedStrings.swift reads too. A string takes every scalar from a random range of a
# random pool of its recipe.
KINDS = json.loads((HERE / "recipes.json").read_text())
RECIPES = [
    ([[(int(first, 16), int(last, 16)) for first, last in pool] for pool in recipe["pools"]], recipe["fewest"],
     recipe["most"]) for recipe in KINDS["recipes"]
]
GENERATED = 24_000
SCALARS_PER_STRING = 128


def generated(index):
    """A string of one of the recipes; here and there a special token or an insertion takes a scalar's place."""
    random = Random(index)
    pools, fewest, most = RECIPES[index % len(RECIPES)]
    text = []
    for _ in range(fewest + random.below(most - fewest + 1)):
        chance = random.below(64)
        if chance == 0:
            text.append(SPECIAL[random.below(len(SPECIAL))])
        elif chance == 1:
            text.append(KINDS["insertions"][random.below(len(KINDS["insertions"]))])
        else:
            pool = pools[random.below(len(pools))]
            first, last = pool[random.below(len(pool))]
            scalar = first + random.below(last - first + 1)
            text.append("" if 0xD800 <= scalar < 0xE000 else chr(scalar))
    return "".join(text)


def every_scalar(index):
    """The scalars of one block, each within a word, at its start and by itself."""
    first = index * SCALARS_PER_STRING
    scalars = [chr(c) for c in range(first, first + SCALARS_PER_STRING) if not 0xD800 <= c < 0xE000]
    return "".join(f"a{c}b {c}d {c} " for c in scalars)


def scalar_vocabulary():
    """Every scalar of the planes 0 and 1, and of the CJK compatibility supplement, beginning and continuing a word."""
    tokens = list(SPECIAL)
    for c in [*range(0x21, 0x20000), *range(0x2F800, 0x2FA20)]:
        if not 0xD800 <= c < 0xE000:
            tokens += [chr(c), "##" + chr(c)]
    return tokens


def squad(shared):
    texts = []
    for article in json.loads((shared / "data/squad/dev-v1.1.json").read_text())["data"]:
        for paragraph in article["paragraphs"]:
            texts.append(paragraph["context"])
            texts += [qa["question"] for qa in paragraph["qas"]]
    return texts


def tokenizer(tokens, lowercase, strip_accents, chinese):
    result = Tokenizer(models.WordPiece({token: id for id, token in enumerate(tokens)}, unk_token="[UNK]"))
    result.normalizer = normalizers.BertNormalizer(
        clean_text=True, handle_chinese_chars=chinese, strip_accents=strip_accents, lowercase=lowercase)
    result.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    result.add_special_tokens([AddedToken(token, normalized=False, special=True) for token in SPECIAL])
    return result


def lines(path):
    return path.read_text().split("\n")[:-1]


def digest(encoding):
    value = 0xCBF29CE484222325
    for token in zip(encoding.ids, encoding.offsets, encoding.word_ids):
        id, (start, end), word = token
        for part in (id, start, end, word):
            value = ((value ^ part) * 0x100000001B3) & MASK
    return (value ^ value >> 32) & 0xFFFFFFFF


def main():
    shared = pathlib.Path(sys.argv[1])
    scalars = scalar_vocabulary()
    uncased = lines(shared / "data/vocab/bert-base-uncased-vocab.txt")
    cased = lines(shared / "data/vocab/bert-base-cased-vocab.txt")
    strings = [generated(index) for index in range(GENERATED)]
    blocks = [every_scalar(index) for index in range(0x110000 // SCALARS_PER_STRING)]
    questions_and_contexts = squad(shared)
    uncased_options, cased_options = (True, None, True), (False, None, True)
    sets = {
        "generated-scalars-uncased": (scalars, uncased_options, strings),
        "generated-scalars-cased": (scalars, cased_options, strings),
        "generated-scalars-keep-accents": (scalars, (True, False, True), strings),
        "generated-scalars-strip-accents": (scalars, (False, True, False), strings),
        "generated-uncased": (uncased, uncased_options, strings),
        "generated-cased": (cased, cased_options, strings),
        "every-scalar-uncased": (scalars, uncased_options, blocks),
        "every-scalar-cased": (scalars, cased_options, blocks),
        "squad-uncased": (uncased, uncased_options, questions_and_contexts),
        "squad-cased": (cased, cased_options, questions_and_contexts),
    }
    if "--show" in sys.argv:
        name, index = sys.argv[sys.argv.index("--show") + 1:][:2]
        tokens, options, texts = sets[name]
        encoding = tokenizer(tokens, *options).encode(texts[int(index)], add_special_tokens=False)
        print(ascii(texts[int(index)]))
        for token in zip(encoding.ids, encoding.offsets, encoding.word_ids, map(ascii, encoding.tokens)):
            print(*token)
        return
    for name, (tokens, options, texts) in sets.items():
        reference = tokenizer(tokens, *options)
        hashes = array.array("I", [])
        for start in range(0, len(texts), 1000):
            hashes.extend(map(digest, reference.encode_batch(texts[start:start + 1000], add_special_tokens=False)))
        assert hashes.itemsize == 4 and sys.byteorder == "little"
        (HERE / f"{name}.hashes").write_bytes(hashes.tobytes())
        print(name, len(hashes))


main()
