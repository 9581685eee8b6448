"""From the start of a process to the first answer, text in and text out, and the most memory that the process had: SpanQA beside ONNX Runtime and
OpenVINO.

    python Benchmarks/peers/startup.py --models FOLDER --tokenizer FOLDER [--threads 2] [--rounds 7] [--json FILE]

DistilBERT-base with random weights; --tokenizer names a folder with tokenizer.json, tokenizer_config.json and vocab.txt. Every figure is a fresh
process whose files are in the page cache; the engines take turns. SpanQA is the command `spanqa answer`; a peer is first_answer.py, which
imports no more than the engine, tokenizers and numpy. A peer is also timed as its documentation has it for a quick start: ONNX Runtime
with the graph that it optimised before and saved, OpenVINO with its cache of compiled models. SpanQA reads the float32 file and the int8
file that ONNX Runtime reads.

What cannot be the same: a peer's figures hold the Python interpreter and its imports, which the column "imports" shows.
"""
import argparse
import json
import os
import pathlib
import statistics
import subprocess
import sys
import time

import engines
import models

QUESTION = "Which country contains most of the rainforest?"
PASSAGE = (
    "The Amazon basin encompasses 7,000,000 square kilometres, of which 5,500,000 are covered by the rainforest. The majority of the "
    "forest is contained within Brazil, with 60% of the rainforest, followed by Peru with 13%.")
TITLES = {
    "spanqa": "SpanQA", "onnxruntime": "ONNX Runtime", "onnxruntime-saved": "ONNX Runtime, saved graph", "openvino": "OpenVINO",
    "openvino-cached": "OpenVINO, cached"}


def save_optimised(source, target):
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath = str(target)
    onnxruntime.InferenceSession(str(source), options, providers=["CPUExecutionProvider"])


def commands(precision, arguments):
    """What is started for each engine. Makes the files first, in processes of their own: what this one takes, a child's peak would hold."""
    scratch = arguments.models / "startup"
    own = models.FLOAT32["eager"] if precision == "float32" else models.ONNXRUNTIME_INT8["eager"]
    openvino = models.FLOAT32["eager"] if precision == "float32" else models.OPENVINO_INT8["eager"]
    folder, saved = scratch / precision, scratch / f"onnxruntime-{precision}-saved.onnx"
    subprocess.run(
        [sys.executable, "-c", "import sys, pathlib as p, models, startup\n"
         "models.make(p.Path(sys.argv[1])); models.make_folder(p.Path(sys.argv[1]), sys.argv[2], p.Path(sys.argv[3]), p.Path(sys.argv[4]))\n"
         "startup.save_optimised(p.Path(sys.argv[4]) / 'model.onnx', sys.argv[5])",
         arguments.models, own, arguments.tokenizer, folder, saved], check=True, cwd=pathlib.Path(__file__).parent,
        env=engines.ENVIRONMENT)
    peer = [sys.executable, str(pathlib.Path(__file__).with_name("first_answer.py"))]
    files = {"onnxruntime": folder / "model.onnx", "onnxruntime-saved": saved, "openvino": arguments.models / openvino,
             "openvino-cached": arguments.models / openvino}
    result = {"spanqa": [str(arguments.spanqa), "answer", "--threads", str(arguments.threads), "--model", str(folder), "--question",
                         QUESTION, "--passage", PASSAGE]}
    for name, file in files.items():
        result[name] = peer + [name, str(arguments.threads), str(folder), str(file), QUESTION, PASSAGE]
    return result


def first_answer(command):
    """Seconds until the answer's line, the peak in bytes, the answer, and what the process says of its phases."""
    start = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=engines.ENVIRONMENT)
    answer = process.stdout.readline()
    seconds = time.perf_counter() - start
    said = process.stderr.read().split()[-3:]
    phases = [float(word) for word in said] if command[1].endswith("first_answer.py") else []
    _, status, usage = os.wait4(process.pid, 0)
    process.stdout.close()
    process.stderr.close()
    if status or not answer:
        raise SystemExit(f"failed: {' '.join(command[:4])}")
    process.returncode = 0
    return seconds, usage.ru_maxrss * 1024, answer.strip(), phases


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    engines.options(parser)
    parser.set_defaults(engines=",".join(TITLES))
    parser.add_argument("--tokenizer", type=pathlib.Path, required=True)
    arguments = parser.parse_args()

    names = arguments.engines.split(",")
    figures = []
    for precision in arguments.precision.split(","):
        started = commands(precision, arguments)
        for name in names:
            first_answer(started[name])
        rounds, memory, phases, answers = [], [], {name: [] for name in names}, {}
        for _ in range(arguments.rounds):
            outcome = {name: first_answer(started[name]) for name in names}
            rounds.append({name: value[0] for name, value in outcome.items()})
            memory.append({name: value[1] / 1e6 for name, value in outcome.items()})
            for name, value in outcome.items():
                phases[name].append(value[3])
                answers[name] = value[2]
        figures.append({"precision": precision, "threads": arguments.threads, "workload": "first answer", "rounds": rounds, "memory": memory,
                        "phases": phases, "answers": answers})
        print(f"\n{precision}, {arguments.threads} threads: seconds to the first answer and MB at the peak (times SpanQA's; least to most)\n")
        rows = []
        for name in names:
            imports = f"{statistics.median(p[0] for p in phases[name]):.2f}" if phases[name][0] else "–"
            rows.append([TITLES[name], engines.cell(rounds, name, 3), imports, engines.cell(memory, name, 0), answers[name][:40]])
        print(engines.table(["engine", "seconds", "of which imports", "MB", "answer (of random weights)"], rows), flush=True)
    if arguments.json:
        arguments.json.write_text(json.dumps(figures, indent=1) + "\n")


if __name__ == "__main__":
    main()
