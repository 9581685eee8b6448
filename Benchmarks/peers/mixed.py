"""32 real windows of SQuAD's dev set, of their true lengths: SpanQA takes them as they are; a peer takes one batch padded to the longest, smaller
padded batches in the order in which the windows come, or batches sorted by length.

    python Benchmarks/peers/mixed.py --models FOLDER --dataset dev-v1.1.json --tokenizer FOLDER [--threads 2] [--rounds 7] [--json FILE]

Needs what executors.py needs, and tokenizers; --tokenizer names a folder with tokenizer.json. Of smaller batches every peer is tried with
several sizes first, and its fastest is timed; sorted, a batch of one window has no padding at all. CTranslate2 takes padding out of linear
layers by itself.
"""
import argparse
import json
import pathlib

import engines
import models

# Kinds of batches, and their sizes.
SIZES = {"one, padded": [32], "padded": [2, 4, 8], "sorted by length": [1, 2, 4, 8, 16]}


def window_lengths(dataset, tokenizer, count, length=384, stride=128):
    """The lengths in tokens of windows from all over the dataset, in its order."""
    import tokenizers

    tokenizer = tokenizers.Tokenizer.from_file(str(tokenizer / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.enable_truncation(length, stride=stride, strategy="only_second")
    pairs = [(qa["question"], paragraph["context"]) for article in json.loads(dataset.read_text())["data"]
             for paragraph in article["paragraphs"] for qa in paragraph["qas"]]
    lengths = []
    for pair in pairs[::len(pairs) // count]:
        first = tokenizer.encode(*pair)
        lengths += [len(encoding.ids) for encoding in [first] + first.overflowing]
    return lengths[:count]


def batches(lengths, size):
    return [lengths[first:first + size] for first in range(0, len(lengths), size)]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    engines.options(parser)
    parser.add_argument("--dataset", type=pathlib.Path, required=True)
    parser.add_argument("--tokenizer", type=pathlib.Path, required=True)
    parser.add_argument("--windows", type=int, default=32)
    parser.add_argument("--seconds", type=float, default=0.3, help="of each engine in each round")
    arguments = parser.parse_args()

    models.make(arguments.models)
    lengths = window_lengths(arguments.dataset, arguments.tokenizer, arguments.windows)
    tokens = sum(lengths)
    print(f"{len(lengths)} windows of {min(lengths)} to {max(lengths)} tokens, {tokens} in all")
    names = arguments.engines.split(",")
    figures = []
    for precision in arguments.precision.split(","):
        running = engines.start(names, precision, arguments.threads, arguments.models, arguments.spanqa, batches(lengths[:8], 4))
        print(f"\n{precision}, {arguments.threads} threads: median ms for all windows (times SpanQA's; least to most). Forms: "
              + ", ".join(f"{engine.name} {engine.form}" for engine in running.values()) + "\n")
        print(engines.table(["batches"] + [engines.TITLES[name] for name in names]), flush=True)
        for order, sizes in SIZES.items():
            windows = sorted(lengths, reverse=True) if order == "sorted by length" else lengths
            # SpanQA has no padding to save: it takes them all at once, as they come.
            work = {}
            for name, engine in running.items():
                choices = [batches(windows, size) for size in sizes] if name != "spanqa" else [[lengths]]
                work[name] = min(choices, key=lambda choice: engine.time(choice, 0.1, least=1)) if len(choices) > 1 else choices[0]
            rounds = [{name: engine.time(work[name], arguments.seconds, least=1) for name, engine in running.items()}
                      for _ in range(arguments.rounds)]
            size = {name: len(batch[0]) for name, batch in work.items()}
            figures.append({"precision": precision, "threads": arguments.threads, "workload": f"mixed, {order}", "rounds": rounds,
                            "lengths": lengths, "batch": size, "forms": {engine.name: engine.form for engine in running.values()}})
            print(engines.row([order] + [engines.cell(rounds, name) + ("" if name == "spanqa" else f" by {size[name]}") for name in names]),
                  flush=True)
        for engine in running.values():
            engine.close()
    if arguments.json:
        arguments.json.write_text(json.dumps(figures, indent=1) + "\n")


if __name__ == "__main__":
    main()
