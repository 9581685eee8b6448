"""Checks that the command's offsets cut its answers out of the passages in Python.

    swift build -c release --product spanqa
    python check_offsets.py [.build/release/spanqa] [../shared]

Asks every question of SQuAD 1.1 dev, and 5,000 of them again with Unicode put into the passage at random places: emoji, combining marks,
right-to-left and CJK text, zero-width characters, line ends. Of every answer and alternative, context[start:end] must be the answer. Exits
with 1 where one is not. Python 3.9 or later, nothing else.
"""

import json
import os
import random
import subprocess
import sys
import threading

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.join(HERE, "../..")
COMMAND = sys.argv[1] if len(sys.argv) > 1 else os.path.join(ROOT, ".build/release/spanqa")
SHARED = sys.argv[2] if len(sys.argv) > 2 else os.path.join(ROOT, "../shared")

PIECES = [
    "🎉", "👩\u200d👩\u200d👧\u200d👦", "🇿🇦", "👍🏽", "❤\ufe0f", "1\ufe0f\u20e3", "\u0301", "\u0323\u0307", "e\u0301", "é", "\u20dd", "\u1ab0", "שָׁלוֹם",
    "\u200fمرحبا\u200e", "\u202e", "日本語", "한국어", "\u1112\u1161\u11ab", "漢\ufe00", "\u200b", "\u200c", "\u200d", "\ufeff", "\u2060", "\u00ad", "\r\n",
    "\r", "\x85", "\u2028", "\t", "\u00a0", "\u3000", "\x00", "\x7f", "\ufffd", "\ue000", "\U0010ffff", "ﬁ", "½", "Ǆ", "İ", "ẞ", "\u212b", "𝔘𝔫𝔦",
    "क्षि", "ไทย", "[SEP]", "[CLS]",
]


def main():
    with open(os.path.join(SHARED, "data/squad/dev-v1.1.json"), encoding="utf-8") as file:
        articles = json.load(file)["data"]
    questions = [(qa["question"], paragraph["context"]) for a in articles for paragraph in a["paragraphs"] for qa in paragraph["qas"]]
    chooser = random.Random(4)
    changed = []
    for question, passage in chooser.choices(questions, k=5000):
        for _ in range(chooser.randint(1, 12)):
            place = chooser.randint(0, len(passage))
            passage = passage[:place] + chooser.choice(PIECES) + passage[place:]
        changed.append((question, passage))
    asked = questions + changed
    process = subprocess.Popen(
        [COMMAND, "answer", "--jsonl", "-", "--top-k", "3", "--max-answer-length", "30"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def feed():
        with process.stdin as pipe:
            for index, (question, passage) in enumerate(asked):
                # Escaped as ASCII and as UTF-8, in turn.
                line = json.dumps({"id": str(index), "question": question, "context": passage}, ensure_ascii=index % 2 == 0)
                pipe.write(line.encode() + b"\n")

    threading.Thread(target=feed).start()
    wrong = spans = beyond = 0
    for index, line in enumerate(process.stdout):
        answer, passage = json.loads(line), asked[index][1]
        assert answer["id"] == str(index)
        for span in [answer] + answer["alternatives"]:
            spans += 1
            beyond += not span["answer"].isascii()
            if passage[span["start"] : span["end"]] != span["answer"]:
                wrong += 1
                print(f"{index}: {span['answer']!r}, but {passage[span['start'] : span['end']]!r} at {span['start']}")
    code = process.wait()
    print(f"{len(questions)} questions and {len(changed)} passages with Unicode put in: {spans} spans, {beyond} not ASCII, {wrong} wrong")
    sys.exit(wrong > 0 or code != 0 or index + 1 != len(asked))


if __name__ == "__main__":
    main()
