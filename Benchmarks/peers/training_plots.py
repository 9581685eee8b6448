"""Draws the pictures of docs/fine-tuning.md.

    pip install matplotlib
    python Benchmarks/peers/training_plots.py losses --spanqa FOLDER --pytorch FOLDER --output docs/fine-tuning-pytorch.svg
    python Benchmarks/peers/training_plots.py transfer --point 0:F1 --point 100:F1 … --output docs/fine-tuning-transfer.svg

`losses` reads each folder's metrics.jsonl, as `spanqa finetune` and finetune.py write it.
"""
import argparse
import json
import pathlib

import matplotlib

matplotlib.use("svg")
matplotlib.rcParams["svg.hashsalt"] = "spanqa"
import matplotlib.pyplot as plt  # noqa: E402


def losses(folder):
    rows = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [row["loss"] for row in rows if "loss" in row]


def smoothed(values, count):
    """Means over the steps around each."""
    return [sum(part) / len(part)
            for part in (values[max(0, i - count // 2):i + count // 2 + 1] for i in range(len(values)))]


def draw_losses(arguments):
    figure, (above, below) = plt.subplots(2, 1, figsize=(8, 6), sharex=True, height_ratios=[3, 1])
    both = {"SpanQA": losses(arguments.spanqa), "PyTorch": losses(arguments.pytorch)}
    for (name, values), style in zip(both.items(), ["-", "--"]):
        above.plot(range(1, len(values) + 1), smoothed(values, 15), style, label=f"{name}, mean over 15 steps", linewidth=1.5)
    above.set_ylabel("training loss")
    above.legend()
    count = min(map(len, both.values()))
    differences = [abs(a - b) / b for a, b in zip(both["SpanQA"][:count], both["PyTorch"][:count])]
    below.semilogy(range(1, count + 1), differences, linewidth=0.8, color="tab:gray")
    below.set_ylabel("relative difference")
    below.set_xlabel("step")
    print(f"{count} steps; relative difference of the losses: largest {max(differences):.2g}, of the first 20 {max(differences[:20]):.2g}")
    return figure


def draw_transfer(arguments):
    points = sorted((int(count), float(f1)) for count, f1 in (point.split(":") for point in arguments.point))
    figure, axes = plt.subplots(figsize=(8, 4))
    axes.plot([count for count, _ in points], [f1 for _, f1 in points], "o-")
    for count, f1 in points:
        axes.annotate(f"{f1:.1f}", (count, f1), textcoords="offset points", xytext=(0, 8), ha="center")
    axes.set_xlabel("COVID-QA questions trained on")
    axes.set_ylabel("F1 on COVID-QA's dev split")
    axes.set_ylim(min(f1 for _, f1 in points) - 3, max(f1 for _, f1 in points) + 4)
    axes.grid(alpha=0.3)
    return figure


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    kinds = parser.add_subparsers(required=True)
    kind = kinds.add_parser("losses")
    kind.add_argument("--spanqa", type=pathlib.Path, required=True)
    kind.add_argument("--pytorch", type=pathlib.Path, required=True)
    kind.set_defaults(draw=draw_losses)
    other = kinds.add_parser("transfer")
    other.add_argument("--point", action="append", required=True, help="questions:F1")
    other.set_defaults(draw=draw_transfer)
    for part in (kind, other):
        part.add_argument("--output", type=pathlib.Path, required=True)
    arguments = parser.parse_args()
    figure = arguments.draw(arguments)
    figure.tight_layout()
    figure.savefig(arguments.output, metadata={"Date": None})


if __name__ == "__main__":
    main()
