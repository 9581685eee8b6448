"""Makes the models, runs every comparison and draws the picture: tables.md, peers.svg and each part's figures as JSON, in one folder.

    python Benchmarks/peers/all.py --models FOLDER --mini FOLDER --dataset dev-v1.1.json --output FOLDER [--rounds 7]

--mini names the folder of the mini model with its tokeniser (onnx/model.onnx, onnx/model_quantized.onnx, tokenizer.json, …), whose vocabulary
has as many tokens as DistilBERT-base's. Takes an hour; the parts can be run alone, and each says in its head what it does.
"""
import argparse
import pathlib
import subprocess
import sys

import engines

HERE = pathlib.Path(__file__).parent


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ["--models", "--mini", "--dataset", "--output"]:
        parser.add_argument(name, type=pathlib.Path, required=True)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--spanqa", type=pathlib.Path, default=engines.COMMAND)
    arguments = parser.parse_args()
    arguments.output.mkdir(parents=True, exist_ok=True)
    common = ["--rounds", arguments.rounds, "--spanqa", arguments.spanqa]
    base = ["--models", arguments.models] + common
    parts = [(f"executors-{threads}", "executors.py", base + ["--threads", threads]) for threads in [2, 1]]
    parts += [
        ("mixed", "mixed.py", base + ["--dataset", arguments.dataset, "--tokenizer", arguments.mini]),
        ("startup", "startup.py", base + ["--tokenizer", arguments.mini]),
        ("devset", "devset.py", common + ["--model", arguments.mini, "--dataset", arguments.dataset]),
    ]
    with open(arguments.output / "tables.md", "w") as tables:
        for name, script, options in parts:
            print(f"{name} …", file=sys.stderr)
            file = arguments.output / f"{name}.json"
            outcome = subprocess.run(
                [sys.executable, str(HERE / script)] + [str(option) for option in options] + ["--json", str(file)],
                check=True, stdout=subprocess.PIPE, text=True)
            tables.write(f"## {name}\n{outcome.stdout}\n")
            tables.flush()
    drawn = [str(arguments.output / f"{name}.json") for name in ["executors-2", "mixed"]]
    subprocess.run(
        [sys.executable, str(HERE.parent / "chart.py"), "peers"] + drawn + ["--output", str(arguments.output / "peers.svg")], check=True)


if __name__ == "__main__":
    main()
