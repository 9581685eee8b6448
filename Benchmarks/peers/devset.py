"""SQuAD's dev set with the mini model in int8, from the JSON file to EM and F1: `spanqa evaluate` beside transformers' fast tokeniser and ONNX
Runtime.

    python Benchmarks/peers/devset.py --model FOLDER --dataset dev-v1.1.json [--questions 1000] [--threads 2] [--rounds 5] [--json FILE]

FOLDER holds onnx/model.onnx, onnx/model_quantized.onnx and the tokeniser's files. Both read windows of 384 tokens that share 128, and answers of
up to 30 tokens. The peer tokenises the questions of the whole file at once on all threads, pads each batch to its longest window, in the order of
the file or sorted by length first, and decodes with NumPy; the batch size is the one that is fastest of several, and the file the one
that ONNX Runtime is fastest with: as it is on the hub, or fused and quantised by ONNX Runtime's own tools. SpanQA's time is that of the whole
process; the peer's begins with its imports and its session done, so that reading, tokenising, running, decoding and scoring are in it.
"""
import argparse
import collections
import json
import pathlib
import re
import statistics
import string
import subprocess
import sys
import tempfile
import time

import engines
import models

# Of padded batches, and of length-sorted ones.
SIZES = {False: [2, 4, 8, 32], True: [1, 4, 8, 16]}
LENGTH, STRIDE, LONGEST_ANSWER, BEST = 384, 128, 30, 20


def questions_of(path):
    return [(qa["id"], qa["question"], paragraph["context"], [answer["text"] for answer in qa["answers"]])
            for article in json.loads(path.read_text())["data"] for paragraph in article["paragraphs"] for qa in paragraph["qas"]]


def normalised(text):
    text = "".join(character for character in text.lower() if character not in string.punctuation)
    return re.sub(r"\b(a|an|the)\b", " ", text).split()


def score(prediction, truths):
    """EM and F1 against the best of the true answers, as SQuAD 1.1 defines them."""
    def pair(truth):
        ours, theirs = normalised(prediction), normalised(truth)
        common = sum((collections.Counter(ours) & collections.Counter(theirs)).values())
        return float(ours == theirs), 2 * common / (len(ours) + len(theirs)) if common else 0.0

    pairs = [pair(truth) for truth in truths]
    return max(p[0] for p in pairs), max(p[1] for p in pairs)


def best_span(numpy, start, end, offsets, sequences):
    """The best span of a window: its score and the characters that it covers."""
    inside = sequences == 1
    start, end = numpy.where(inside, start, -numpy.inf), numpy.where(inside, end, -numpy.inf)
    starts = numpy.argpartition(start, -BEST)[-BEST:] if len(start) > BEST else numpy.arange(len(start))
    ends = numpy.argpartition(end, -BEST)[-BEST:] if len(end) > BEST else numpy.arange(len(end))
    lengths = ends[None, :] - starts[:, None]
    scores = numpy.where((lengths >= 0) & (lengths < LONGEST_ANSWER), start[starts][:, None] + end[ends][None, :], -numpy.inf)
    first, last = divmod(int(scores.argmax()), len(ends))
    return float(scores[first, last]), offsets[starts[first]][0], offsets[ends[last]][1]


def evaluate(session, tokenizer, dataset, size, is_sorted):
    """From the file to EM and F1."""
    import numpy

    questions = questions_of(dataset)
    windows = tokenizer(
        [question[1].strip() for question in questions], [question[2] for question in questions], truncation="only_second",
        max_length=LENGTH, stride=STRIDE, return_overflowing_tokens=True, return_offsets_mapping=True)
    ids, owners, offsets = windows["input_ids"], windows["overflow_to_sample_mapping"], windows["offset_mapping"]
    order = list(range(len(ids)))
    if is_sorted:
        order.sort(key=lambda index: -len(ids[index]))
    best = {}
    for first in range(0, len(order), size):
        batch = order[first:first + size]
        longest = max(len(ids[index]) for index in batch)
        tokens = numpy.zeros((len(batch), longest), dtype=numpy.int64)
        mask = numpy.zeros_like(tokens)
        for row, index in enumerate(batch):
            tokens[row, :len(ids[index])] = ids[index]
            mask[row, :len(ids[index])] = 1
        starts, ends = session.run(["start_logits", "end_logits"], {"input_ids": tokens, "attention_mask": mask})
        for row, index in enumerate(batch):
            count = len(ids[index])
            sequences = numpy.array([-1 if part is None else part for part in windows.sequence_ids(index)])
            found = best_span(numpy, starts[row, :count], ends[row, :count], offsets[index], sequences)
            if owners[index] not in best or found[0] > best[owners[index]][0]:
                best[owners[index]] = found
    scores = [score(question[2][best[place][1]:best[place][2]], question[3]) for place, question in enumerate(questions)]
    return [100 * statistics.fmean(part) for part in zip(*scores)]


def serve(file, tokenizer, threads):
    """A worker's life: a line of JSON in, {"dataset": path, "size": n, "sorted": bool}, seconds, EM and F1 out."""
    import onnxruntime
    import transformers

    tokenizer = transformers.AutoTokenizer.from_pretrained(str(tokenizer), use_fast=True)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])
    print("ready", flush=True)
    for line in sys.stdin:
        work = json.loads(line)
        start = time.perf_counter()
        scores = evaluate(session, tokenizer, pathlib.Path(work["dataset"]), work["size"], work["sorted"])
        print(json.dumps([time.perf_counter() - start] + scores), flush=True)


class Peer:
    def __init__(self, form, file, arguments):
        self.form = form
        self.process = subprocess.Popen(
            [sys.executable, __file__, "--model", str(arguments.model), "--dataset", str(arguments.dataset), "--threads",
             str(arguments.threads), "--worker", str(file)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=engines.ENVIRONMENT)
        self.process.stdout.readline()

    def run(self, dataset, size, is_sorted):
        self.process.stdin.write(json.dumps({"dataset": str(dataset), "size": size, "sorted": is_sorted}) + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def close(self):
        self.process.stdin.close()
        self.process.wait()


def run_spanqa(arguments, dataset):
    start = time.perf_counter()
    output = subprocess.run(
        [str(arguments.spanqa), "evaluate", "--dataset", str(dataset), "--model", str(arguments.model / "onnx/model_quantized.onnx"),
         "--threads", str(arguments.threads), "--json"], check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
        env=engines.ENVIRONMENT)
    seconds, report = time.perf_counter() - start, json.loads(output.stdout)
    return [seconds, report["exact_match"], report["f1"]]


def sample(dataset, count, target):
    """Writes paragraphs from all over the dataset that hold about so many questions; returns how many."""
    document = json.loads(dataset.read_text())
    paragraphs = [(article["title"], paragraph) for article in document["data"] for paragraph in article["paragraphs"]]
    total = sum(len(paragraph["qas"]) for _, paragraph in paragraphs)
    picked = paragraphs[::max(1, round(total / count))]
    target.write_text(json.dumps({"version": "1.1", "data": [{"title": title, "paragraphs": [paragraph]} for title, paragraph in picked]}))
    return sum(len(paragraph["qas"]) for _, paragraph in picked)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=pathlib.Path, required=True)
    parser.add_argument("--dataset", type=pathlib.Path, required=True)
    parser.add_argument("--questions", type=int, default=1000, help="of a sample; 0 for all")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--spanqa", type=pathlib.Path, default=engines.COMMAND)
    parser.add_argument("--json", type=pathlib.Path, help="where every round's figures go")
    parser.add_argument("--worker", type=pathlib.Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.worker:
        return serve(arguments.worker, arguments.model, arguments.threads)

    with tempfile.TemporaryDirectory() as scratch:
        scratch = pathlib.Path(scratch)
        models.fuse(arguments.model / "onnx/model.onnx", scratch / "fused.onnx", heads=12, hidden=384)
        models.quantize_onnxruntime(scratch / "fused.onnx", scratch / "fused-int8.onnx")
        trial, whole = scratch / "trial.json", scratch / "questions.json"
        sample(arguments.dataset, 100, trial)
        count = sample(arguments.dataset, arguments.questions or 1 << 30, whole)
        peer = None
        for form, file in [("hub", arguments.model / "onnx/model_quantized.onnx"), ("fused", scratch / "fused-int8.onnx")]:
            other = Peer(form, file, arguments)
            seconds = min(other.run(trial, 4, True)[0] for _ in range(2))
            if peer is None or seconds < fastest:
                if peer:
                    peer.close()
                peer, fastest = other, seconds
            else:
                other.close()
        sizes = {is_sorted: min(SIZES[is_sorted], key=lambda size: peer.run(trial, size, is_sorted)[0]) for is_sorted in [False, True]}
        rounds, scores = [], {}
        for _ in range(arguments.rounds):
            outcome = {"spanqa": run_spanqa(arguments, whole)}
            for name, is_sorted in [("padded", False), ("sorted", True)]:
                outcome[name] = peer.run(whole, sizes[is_sorted], is_sorted)
                time.sleep(engines.SETTLING_SECONDS)
            rounds.append({name: value[0] for name, value in outcome.items()})
            scores = {name: value[1:] for name, value in outcome.items()}
        peer.close()

    print(f"{count} questions, {arguments.threads} threads, {arguments.rounds} rounds; ONNX Runtime's file: {peer.form}\n")
    titles = {"spanqa": "SpanQA", "padded": f"transformers + ONNX Runtime, padded batches of {sizes[False]}",
              "sorted": f"transformers + ONNX Runtime, length-sorted batches of {sizes[True]}"}
    print(engines.table(
        ["", "seconds (times SpanQA's; least to most)", "questions/s", "EM", "F1"],
        [[titles[name], engines.cell(rounds, name, 2), f"{count / statistics.median(r[name] for r in rounds):.1f}",
          f"{scores[name][0]:.2f}", f"{scores[name][1]:.2f}"] for name in titles]))
    if arguments.json:
        figures = {"precision": "int8", "threads": arguments.threads, "workload": "dev set", "questions": count, "rounds": rounds, "batch": {
            "padded": sizes[False], "sorted": sizes[True]}, "forms": {"onnxruntime": peer.form}, "scores": scores}
        arguments.json.write_text(json.dumps([figures], indent=1) + "\n")


if __name__ == "__main__":
    main()
