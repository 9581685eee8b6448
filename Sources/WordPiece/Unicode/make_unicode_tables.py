#!/usr/bin/env python3
"""Writes UnicodeTables.swift: what the `tokenizers` library takes each Unicode scalar for.

Everything is read off the behaviour of the library itself, scalar by scalar, because its parts follow Unicode versions
of different ages. Combining classes are taken from Python and then proved against the library's reordering.

Made with: Python 3.11, tokenizers 0.22.2.   Usage: make_unicode_tables.py > UnicodeTables.swift
"""

import sys
import unicodedata

import tokenizers
from tokenizers import normalizers, pre_tokenizers

SCALARS = [c for c in range(0x110000) if not 0xD800 <= c < 0xE000]
HANGUL = range(0xAC00, 0xD7A4)

# The same order as the constants of UnicodeData.
REMOVED, SPACE, CHINESE, PUNCTUATION, MARK, DECOMPOSES, LOWERCASES, COMBINES = (1 << bit for bit in range(8))


def bert(**options):
    off = dict(clean_text=False, handle_chinese_chars=False, strip_accents=False, lowercase=False)
    return normalizers.BertNormalizer(**{**off, **options}).normalize_str


clean = bert(clean_text=True)
chinese = bert(handle_chinese_chars=True)
strip = bert(strip_accents=True)
nfd = normalizers.NFD().normalize_str
lower = normalizers.Lowercase().normalize_str
split = pre_tokenizers.BertPreTokenizer().pre_tokenize_str


def check(condition, scalar, what):
    if not condition:
        sys.exit(f"U+{scalar:04X}: {what} is not what the tables can say")


def combining_classes():
    """The class of each scalar that takes part in canonical reordering."""
    stable = [c for c in SCALARS if nfd(chr(c)) == chr(c)]
    classes = {}
    for c in stable:
        # U+0334 has the lowest class (1), U+0345 the highest (240): a mark changes places with one of them at least.
        after, before = f"a{chr(c)}\u0334", f"a\u0345{chr(c)}"
        if nfd(after) != after or nfd(before) != before:
            classes[c] = unicodedata.combining(chr(c))
            check(classes[c] > 0, c, "its combining class")
    examples = {}
    for c, value in classes.items():
        examples.setdefault(value, c)
    for c, value in classes.items():
        for other, example in examples.items():
            pair = "a" + chr(example) + chr(c)
            check((nfd(pair) != pair) == (value < other), c, "its combining class")
    return classes


def properties(classes):
    flags = {}
    decompositions, lowercase = {}, {}
    for c in SCALARS:
        char, flag = chr(c), 0
        cleaned = clean(f"a{char}a")
        if cleaned == "aa":
            flag |= REMOVED
        elif cleaned == "a a":
            flag |= SPACE
        else:
            check(cleaned == f"a{char}a", c, "cleaning")
        if chinese(char) != char:
            check(chinese(char) == f" {char} ", c, "CJK spacing")
            flag |= CHINESE
        if not flag & SPACE:
            pieces = [piece for piece, _ in split(f"a{char}b")]
            if pieces == ["a", char, "b"]:
                flag |= PUNCTUATION
            else:
                # The scalars that are white space and control characters at once: cleaning has removed them.
                check(pieces == [f"a{char}b"] or flag & REMOVED, c, "pre-tokenisation")
        decomposed = nfd(char)
        if decomposed != char:
            flag |= DECOMPOSES
            decompositions[c] = [ord(d) for d in decomposed]
            check(flag & SPACE or clean(decomposed) == decomposed, c, "its decomposition")
        elif strip(f"a{char}") == "a":
            flag |= MARK
        if lower(char) != char:
            flag |= LOWERCASES
            lowercase[c] = [ord(d) for d in lower(char)]
        if c in classes:
            flag |= COMBINES
        flags[c] = flag
    # So that words can be split before they are lower-cased.
    for c, parts in lowercase.items():
        for part in parts:
            check((flags[c] ^ flags[part]) & (SPACE | PUNCTUATION) == 0, c, "its lower case")
    return flags, decompositions, lowercase


def hangul_is_algorithmic(decompositions):
    for c in HANGUL:
        index = c - 0xAC00
        parts = [0x1100 + index // 588, 0x1161 + index % 588 // 28]
        if index % 28:
            parts.append(0x11A7 + index % 28)
        check(decompositions.pop(c) == parts, c, "its decomposition")


def rows(values, width=100):
    line = "   "
    for value in values:
        text = f" {value},"
        if len(line) + len(text) > width:
            yield line
            line = "   "
        line += text
    if line.strip():
        yield line


def array(comment, name, kind, values):
    print()
    for line in comment:
        print(f"  /// {line}")
    print(f"  static let {name}: [{kind}] = [")
    for line in rows(values):
        print(line)
    print("  ]")


def main():
    classes = combining_classes()
    flags, decompositions, lowercase = properties(classes)
    hangul_is_algorithmic(decompositions)

    runs, last = [], None
    for c in SCALARS:
        if flags[c] != last:
            runs.append(f"0x{c << 8 | flags[c]:X}")
            last = flags[c]

    keys, ends, scalars = [], [], []
    for c, parts in sorted(decompositions.items()):
        scalars += [f"0x{part:X}" for part in parts]
        keys.append(f"0x{c:X}")
        ends.append(len(scalars))

    expansions = [c for c in lowercase if len(lowercase[c]) > 1]
    steps = []  # [first, last, stride, delta]
    for c, (target, *rest) in sorted(lowercase.items()):
        if rest:
            check(len(rest) == 1, c, "its lower case")
            continue
        delta = target - c
        if steps and steps[-1][3] == delta:
            first, end, stride, _ = steps[-1]
            if c - end <= 2 and (first == end or c - end == stride):
                steps[-1][1:3] = [c, c - end]
                continue
        steps.append([c, c, 1, delta])

    spans = []  # [first, last, class]
    for c, value in sorted(classes.items()):
        if spans and spans[-1][1] == c - 1 and spans[-1][2] == value:
            spans[-1][1] = c
        else:
            spans.append([c, c, value])

    version = tokenizers.__version__
    print(f"// Written by make_unicode_tables.py from the behaviour of tokenizers {version}. Do not edit.")
    print("""
/// What `tokenizers` takes each Unicode scalar for, as UnicodeData unpacks it.
enum UnicodeTables {""", end="")
    array(["Runs of scalars with the same properties: the first scalar, shifted left by eight, and the properties."],
          "runs", "UInt32", runs)
    array(["The scalars, Hangul syllables excepted, that canonical decomposition changes, in ascending order."],
          "decompositionKeys", "UInt32", keys)
    array(["For each of `decompositionKeys` where its decomposition ends in `decompositionScalars`."],
          "decompositionEnds", "UInt16", ends)
    array(["Full canonical decompositions, end to end."], "decompositionScalars", "UInt32", scalars)
    array(["Lower-casing by a difference: rows of first scalar, last scalar, stride and difference, ascending."],
          "lowercaseSteps", "Int32", [value for row in steps for value in row])
    array(["Lower-casing to two scalars: rows of scalar, first and second."],
          "lowercaseExpansions", "UInt32", [f"0x{value:X}" for c in expansions for value in [c, *lowercase[c]]])
    array(["Canonical combining classes other than zero: rows of first scalar, last scalar and class, ascending."],
          "combiningClasses", "UInt32", [value for row in spans for value in row])
    print("}")


main()
