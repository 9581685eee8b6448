#!/usr/bin/env python3
"""WordPiece beside Hugging Face's `tokenizers`: MB/s on one thread, and the ratio.

Needs: the `tokenizers` package (0.22.2), and `swift build -c release` in Benchmarks/.
Usage: tokenizer.py MODEL-FOLDER TEXTS.json [ROUNDS]

The folder holds tokenizer.json; the texts are a JSON array, or a file of SQuAD's. The two take turns, so that a busy
machine slows both; the best round of each counts, and the median of the rounds' ratios is printed beside.
"""

import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

os.environ["RAYON_NUM_THREADS"] = "1"
os.environ["TOKENIZERS_PARALLELISM"] = "false"

import tokenizers  # noqa: E402  (reads the variables above)

BENCHMARK = pathlib.Path(__file__).parent.parent / ".build/release/TokenizerBenchmark"


def texts_of(path):
    document = json.loads(path.read_text())
    if isinstance(document, list):
        return document
    paragraphs = [paragraph for article in document["data"] for paragraph in article["paragraphs"]]
    return [paragraph["context"] for paragraph in paragraphs] + [
        qa["question"] for paragraph in paragraphs for qa in paragraph["qas"]]


def main():
    folder, source = map(pathlib.Path, sys.argv[1:3])
    rounds = int(sys.argv[3]) if len(sys.argv) > 3 else 7
    texts = texts_of(source)
    megabytes = sum(len(text.encode()) for text in texts) / 1e6
    peer = tokenizers.Tokenizer.from_file(str(folder / "tokenizer.json"))

    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        json.dump(texts, file)
        file.flush()
        ours = subprocess.Popen(
            [BENCHMARK, folder, file.name], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        our_seconds, peer_seconds = [], []
        for _ in range(rounds):
            ours.stdin.write("\n")
            ours.stdin.flush()
            tokens, seconds = ours.stdout.readline().split()
            our_seconds.append(float(seconds))
            start = time.perf_counter()
            encodings = peer.encode_batch(texts, add_special_tokens=False)
            peer_seconds.append(time.perf_counter() - start)
            expected = sum(len(encoding) for encoding in encodings)
            if int(tokens) != expected:
                sys.exit(f"tokenizer.py: {tokens} tokens here, {expected} from tokenizers: not the same work")
            del encodings
        ours.stdin.close()
        ours.wait()

    ratios = [theirs / mine for mine, theirs in zip(our_seconds, peer_seconds)]
    print(f"{len(texts)} texts, {megabytes:.2f} MB, {tokens} tokens, one thread, best of {rounds} rounds")
    print(f"SpanQA WordPiece    {megabytes / min(our_seconds):8.1f} MB/s")
    print(f"tokenizers {tokenizers.__version__}   {megabytes / min(peer_seconds):8.1f} MB/s")
    print(f"ratio               {statistics.median(ratios):8.1f} (median; {min(ratios):.1f} to {max(ratios):.1f})")


main()
