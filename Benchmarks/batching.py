"""Times answering SQuAD questions in packed batches, in padded ones, and one at a time.

    swift build -c release --product spanqa
    python Benchmarks/batching.py --dataset dev-v1.1.json [--limit 1000] [--rounds 3] [--model FOLDER] [--threads 2] [--json FILE]

The ways take turns within a round, so that what else the machine does falls on all of them. A figure is the median over rounds of a
round's questions a second, from the first question to the last answer, without the model's loading; a ratio is the median over rounds of
the ratios within a round. That the answers are the same is checked too.
"""
import argparse
import json
import os
import statistics
import subprocess
import tempfile

WAYS = {
    "packed (none)": ["--padding", "none"],
    "longest": ["--padding", "longest"],
    "fixed:384": ["--padding", "fixed:384"],
    "one at a time": ["--padding", "none", "--token-budget", "1"],
    "one at a time, fixed:384": ["--padding", "fixed:384", "--token-budget", "1"],
}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dataset", required=True)
    parser.add_argument("--limit", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--model")
    parser.add_argument("--threads", type=int)
    parser.add_argument("--command", default=".build/release/spanqa")
    parser.add_argument("--json")
    options = parser.parse_args()
    arguments = [options.command, "evaluate", "--dataset", options.dataset, "--limit", str(options.limit), "--json"]
    if options.model:
        arguments += ["--model", options.model]
    if options.threads:
        arguments += ["--threads", str(options.threads)]
    speeds, answers = {way: [] for way in WAYS}, {}
    with tempfile.TemporaryDirectory() as folder:
        predictions = os.path.join(folder, "predictions.json")
        for _ in range(options.rounds):
            for way, batching in WAYS.items():
                output = subprocess.run(
                    arguments + batching + ["--predictions", predictions], check=True, capture_output=True, text=True).stdout
                speeds[way].append(json.loads(output)["questions_per_second"])
                with open(predictions, encoding="utf-8") as file:
                    answers[way] = json.load(file)
    first, last = list(WAYS)[0], list(WAYS)[-1]
    differing = {way: sum(answers[way][name] != answer for name, answer in answers[first].items()) for way in WAYS}
    rows = []
    for way in WAYS:
        ratio = statistics.median(speed / slowest for speed, slowest in zip(speeds[way], speeds[last]))
        rows.append({"way": way, "questions_per_second": statistics.median(speeds[way]), "ratio": ratio, "differing": differing[way]})
    print(f"{options.limit} questions, {options.rounds} rounds; questions/s, and times as fast as {last}")
    for row in rows:
        print(f"{row['way']:26}{row['questions_per_second']:8.1f}{row['ratio']:7.2f} ×   {row['differing']} answers differ")
    if options.json:
        with open(options.json, "w") as file:
            json.dump({"limit": options.limit, "rounds": rows, "speeds": speeds}, file, indent=1)


if __name__ == "__main__":
    main()
