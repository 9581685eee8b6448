"""Times training steps of SpanQA beside PyTorch's: forward, backward, clipping and AdamW in float32, dropout off.

    pip install torch transformers
    swift build -c release --product spanqa
    python Benchmarks/peers/training.py --models FOLDER [--mini FOLDER] [--threads 2] [--rounds 5] [--compile] [--json FILE]

`--mini` is spanqa-mini in the hub's layout; without it, DistilBERT-base is made with random weights. All windows of a batch have one length, so that neither
side computes padding. Both take turns within a round, PyTorch in a process that sleeps meanwhile. A figure is the median over rounds
of the median within a round; a ratio is the median over rounds of the ratios within a round, with the smallest and the largest. Memory is
the most that a process had, the model alone in it.

PyTorch runs as its documentation says is fastest on a processor: fused attention, AdamW(fused=True), gradients set to none, no more threads than
cores, and with --compile torch.compile, whose compilation is not timed.
"""
import argparse
import json
import pathlib
import resource
import statistics
import subprocess
import sys
import time

SHAPES = ["16x128", "8x256", "8x384"]


def make_base(folder):
    path = folder / "base"
    if not (path / "model.safetensors").exists():
        import torch
        from transformers import DistilBertConfig, DistilBertForQuestionAnswering

        torch.manual_seed(1)
        DistilBertForQuestionAnswering(DistilBertConfig()).save_pretrained(path)
        special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
        (path / "vocab.txt").write_text("\n".join(special + [f"t{i}" for i in range(30517)]) + "\n")
    return path


def work(folder, threads, compiled):
    """Reads `batch x tokens seconds` a line, prints the median in milliseconds; at the end the most memory in bytes."""
    import torch
    from transformers import AutoConfig, DistilBertForQuestionAnswering

    torch.set_num_threads(threads)
    config = AutoConfig.from_pretrained(folder, dropout=0.0, attention_dropout=0.0, qa_dropout=0.0)
    model = DistilBertForQuestionAnswering.from_pretrained(folder, config=config, attn_implementation="sdpa").train()
    run = torch.compile(model) if compiled else model
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-6, weight_decay=0.01, fused=True)

    def step(ids, places):
        optimizer.zero_grad(set_to_none=True)
        loss = run(input_ids=ids, start_positions=places, end_positions=places + 1).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        return loss.item()

    print("ready", flush=True)
    for line in sys.stdin:
        shape, seconds = line.split()
        batch, tokens = map(int, shape.split("x"))
        ids = torch.randint(0, 30000, (batch, tokens))
        places = torch.full((batch,), tokens // 2)
        for _ in range(2):
            step(ids, places)
        samples, end = [], time.perf_counter() + float(seconds)
        while len(samples) < 3 or time.perf_counter() < end:
            start = time.perf_counter()
            step(ids, places)
            samples.append(time.perf_counter() - start)
        print(1000 * statistics.median(samples), flush=True)
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10, flush=True)


class PyTorch:
    def __init__(self, models, folder, threads, compiled):
        self.process = subprocess.Popen(
            [sys.executable, __file__, "--models", str(models), "--worker", str(folder), "--threads", str(threads)]
            + (["--compile"] if compiled else []), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for line in self.process.stdout:
            if line.strip() == "ready":
                return
        raise SystemExit("PyTorch did not start")

    def time(self, shape, seconds):
        self.process.stdin.write(f"{shape} {seconds}\n")
        self.process.stdin.flush()
        return float(self.process.stdout.readline())

    def close(self):
        """The most memory the process had."""
        self.process.stdin.close()
        memory = int(self.process.stdout.readline())
        self.process.wait()
        return memory


class SpanQA:
    """The command, started anew for every figure; it times the steps alone, after a warm-up."""

    def __init__(self, command, folder, threads):
        self.arguments = [command, "benchmark", "--training", "--model", str(folder), "--threads", str(threads), "--json"]
        self.memory = 0

    def time(self, shape, seconds):
        output = subprocess.run(
            self.arguments + ["--shapes", shape, "--seconds", str(seconds)], check=True, capture_output=True, text=True)
        figures = json.loads(output.stdout)[0]
        self.memory = max(self.memory, figures["peak_memory_bytes"])
        return figures["median_ms"]

    def close(self):
        return self.memory


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", type=pathlib.Path, required=True, help="where DistilBERT-base is kept")
    parser.add_argument("--mini", type=pathlib.Path)
    parser.add_argument("--worker", type=pathlib.Path, help=argparse.SUPPRESS)
    parser.add_argument("--compile", action="store_true")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--shapes", default=",".join(SHAPES))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=1, help="of each side in each round")
    parser.add_argument("--spanqa", default=str(pathlib.Path(__file__).parents[2] / ".build/release/spanqa"))
    parser.add_argument("--json", type=pathlib.Path)
    arguments = parser.parse_args()
    if arguments.worker:
        return work(arguments.worker, arguments.threads, arguments.compile)

    models = {"mini": arguments.mini} if arguments.mini else {"DistilBERT-base": make_base(arguments.models)}
    figures = []
    print(f"{arguments.threads} threads: tokens/s (ratio; least to most), and MiB at most\n")
    print("| model | batch×tokens | SpanQA | PyTorch | SpanQA's speed | SpanQA MiB | PyTorch MiB | SpanQA's memory |\n|" + "---|" * 8)
    for name, folder in models.items():
        for shape in arguments.shapes.split(","):
            sides = [
                SpanQA(arguments.spanqa, folder, arguments.threads),
                PyTorch(arguments.models, folder, arguments.threads, arguments.compile)]
            rounds = [[side.time(shape, arguments.seconds) for side in sides] for _ in range(arguments.rounds)]
            memory = [side.close() / 2**20 for side in sides]
            batch, tokens = map(int, shape.split("x"))
            speeds = [statistics.median(batch * tokens / times[i] * 1000 for times in rounds) for i in range(2)]
            ratios = [theirs / ours for ours, theirs in rounds]
            figures.append({"model": name, "shape": shape, "threads": arguments.threads, "milliseconds": rounds, "mebibytes": memory})
            print(f"| {name} | {shape} | {speeds[0]:.0f} | {speeds[1]:.0f} | {statistics.median(ratios):.2f} ({min(ratios):.2f} to "
                  f"{max(ratios):.2f}) | {memory[0]:.0f} | {memory[1]:.0f} | {memory[0] / memory[1]:.2f} |", flush=True)
    if arguments.json:
        arguments.json.write_text(json.dumps(figures, indent=1) + "\n")


if __name__ == "__main__":
    main()
