"""The engines that are compared: SpanQA and its peers, each in a process of its own that works through one workload at a time.

Each peer runs as its documentation says is fastest on a processor, within the precision:

- ONNX Runtime: all graph optimisations; its transformer optimizer's fusions or the plain export, whichever is faster; int8 by
  quantize_dynamic.
- OpenVINO: the latency hint for single batches and the throughput hint with a queue of requests for many, whichever is faster; float32
  products where float32 is asked for (it takes bfloat16 by itself where the processor has it, which is another precision); int8 by
  NNCF's post-training quantisation for transformers.
- CTranslate2: its float32 and int8 computation types; it takes padding out by itself.
- PyTorch: inference mode, fused attention; int8 by dynamic quantisation of the linear layers.

SpanQA reads the float32 export, and in int8 the file that ONNX Runtime's quantize_dynamic makes of it.

A worker is this file as a program: a line of JSON in, {"batches": [[length, …], …], "seconds": s, "least": n}, the median milliseconds for all
batches out, of at least n runs.
"""
import argparse
import json
import os
import pathlib
import statistics
import subprocess
import sys
import time

import models

PEERS = ["onnxruntime", "openvino", "ctranslate2", "pytorch"]
TITLES = {"spanqa": "SpanQA", "onnxruntime": "ONNX Runtime", "openvino": "OpenVINO", "ctranslate2": "CTranslate2", "pytorch": "PyTorch"}
COMMAND = pathlib.Path(__file__).parents[2] / ".build/release/spanqa"
# Shells of this kind of machine sometimes choose OpenBLAS's core and cache size for a program: every engine runs without.
ENVIRONMENT = {name: value for name, value in os.environ.items() if not name.startswith("OPENBLAS_")}
# OpenMP's threads and others wait actively for up to 200 ms after their last work.
SETTLING_SECONDS = 0.25


def forms(engine, precision):
    """The exports that the engine is tried with: the name of each, and its file."""
    if engine == "onnxruntime":
        return models.FLOAT32 if precision == "float32" else models.ONNXRUNTIME_INT8
    if engine == "openvino":
        named = {name: models.FLOAT32[name] for name in ["eager", "sdpa", "dynamo"]} if precision == "float32" else models.OPENVINO_INT8
        return {f"{name}, {hint}": file for name, file in named.items() for hint in ["latency", "throughput"]}
    return {"own": "ctranslate2"}


def runner(engine, precision, threads, folder, form):
    """A function that runs batches, each of them token ids and mask."""
    file = str(folder / forms(engine, precision)[form])
    if engine == "onnxruntime":
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        session = onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])

        def run(batches):
            for ids, mask in batches:
                session.run(None, {"input_ids": ids, "attention_mask": mask})
    elif engine == "openvino":
        import openvino

        hint = form.split(", ")[1].upper()
        settings = {"PERFORMANCE_HINT": hint, "INFERENCE_NUM_THREADS": threads, "INFERENCE_PRECISION_HINT": "f32"}
        model = openvino.Core().compile_model(file, "CPU", settings)
        if hint == "LATENCY":
            request = model.create_infer_request()

            def run(batches):
                for ids, mask in batches:
                    request.infer({"input_ids": ids, "attention_mask": mask})
        else:
            queue = openvino.AsyncInferQueue(model)

            def run(batches):
                for ids, mask in batches:
                    queue.start_async({"input_ids": ids, "attention_mask": mask})
                queue.wait_all()
    elif engine == "ctranslate2":
        import ctranslate2
        import numpy

        encoder = ctranslate2.Encoder(file, device="cpu", inter_threads=1, intra_threads=threads, compute_type=precision)

        def run(batches):
            for ids, mask in batches:
                rows = [row[:length].tolist() for row, length in zip(ids, mask.sum(axis=1))]
                numpy.array(encoder.forward_batch(rows).last_hidden_state)
    else:
        import torch

        torch.set_num_threads(threads)
        model = models.torch_model()
        if precision == "int8":
            model = torch.ao.quantization.quantize_dynamic(model, {torch.nn.Linear}, dtype=torch.qint8)

        def run(batches):
            with torch.inference_mode():
                for ids, mask in batches:
                    # Without padding no mask is needed, and attention is faster without.
                    padded = torch.from_numpy(mask) if mask.min() == 0 else None
                    model(torch.from_numpy(ids), padded).start_logits.numpy()
    return run


def padded(lengths):
    """Random token ids of sequences of these lengths, padded to the longest, and their mask."""
    import numpy

    mask = (numpy.arange(max(lengths)) < numpy.array(lengths)[:, None]).astype(numpy.int64)
    return numpy.random.RandomState(1).randint(1000, 30000, mask.shape) * mask, mask


def serve(run):
    """A worker's life."""
    print("ready", flush=True)
    known = None
    for line in sys.stdin:
        work = json.loads(line)
        batches = [padded(lengths) for lengths in work["batches"]]
        if work["batches"] != known:
            # The first run allocates, and some engines compile for a shape when they first see it.
            run(batches)
        known = work["batches"]
        samples, end = [], time.perf_counter() + work["seconds"]
        while len(samples) < work["least"] or time.perf_counter() < end:
            start = time.perf_counter()
            run(batches)
            samples.append(time.perf_counter() - start)
        print(1000 * statistics.median(samples), flush=True)


class Peer:
    def __init__(self, engine, precision, threads, folder, form):
        self.name, self.form = engine, form
        self.process = subprocess.Popen(
            [sys.executable, __file__, engine, "--precision", precision, "--threads", str(threads), "--models", str(folder),
             "--form", form], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=ENVIRONMENT)
        for line in self.process.stdout:
            if line.strip() == "ready":
                return
        raise SystemExit(f"{engine} {precision} ({form}) did not start")

    def time(self, batches, seconds, least=3):
        """The median milliseconds in which all batches are done, of at least so many runs."""
        self.process.stdin.write(json.dumps({"batches": batches, "seconds": seconds, "least": least}) + "\n")
        self.process.stdin.flush()
        milliseconds = float(self.process.stdout.readline())
        time.sleep(SETTLING_SECONDS)
        return milliseconds

    def close(self):
        self.process.stdin.close()
        self.process.wait()


class SpanQA:
    """The command, started anew for every figure; it times the executor alone, after a warm-up."""

    name = "spanqa"

    def __init__(self, precision, threads, folder, command=COMMAND):
        self.form = "eager"
        file = (models.FLOAT32 if precision == "float32" else models.ONNXRUNTIME_INT8)[self.form]
        self.arguments = [str(command), "benchmark", "--model", str(folder / file), "--threads", str(threads), "--json"]

    def time(self, batches, seconds, least=3):
        lengths = [length for batch in batches for length in batch]
        output = subprocess.run(
            self.arguments + ["--lengths", ",".join(map(str, lengths)), "--seconds", str(seconds)], check=True,
            stdout=subprocess.PIPE, text=True, env=ENVIRONMENT)
        return json.loads(output.stdout)[0]["median_ms"]

    def close(self):
        pass


def fastest(engine, precision, threads, folder, batches, seconds=0.3):
    """The peer with the form that is fastest on a workload; its name stands in `form`."""
    best = None
    for form in forms(engine, precision):
        peer = Peer(engine, precision, threads, folder, form)
        milliseconds = min(peer.time(batches, seconds, least=1) for _ in range(2))
        if best is None or milliseconds < best[0]:
            if best:
                best[1].close()
            best = (milliseconds, peer)
        else:
            peer.close()
    return best[1]


def start(names, precision, threads, folder, command, batches):
    """The engines of these names, each in its fastest form for a workload."""
    return {name: SpanQA(precision, threads, folder, command) if name == "spanqa"
            else fastest(name, precision, threads, folder, batches) for name in names}


def options(parser):
    """What all comparisons take."""
    parser.add_argument("--models", type=pathlib.Path, required=True, help="where models are kept; those that are missing are made")
    parser.add_argument("--engines", default=",".join(["spanqa"] + PEERS))
    parser.add_argument("--precision", default="float32,int8")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--spanqa", type=pathlib.Path, default=COMMAND)
    parser.add_argument("--json", type=pathlib.Path, help="where every round's figures go")


def ratio(rounds, name, reference="spanqa"):
    """The median over rounds of how many times a figure is the reference's, with the least and the most."""
    ratios = [figures[name] / figures[reference] for figures in rounds]
    return statistics.median(ratios), min(ratios), max(ratios)


def cell(rounds, name, digits=1, reference="spanqa"):
    """A figure as tables show it: the median, and for a peer its ratio to the reference's."""
    text = f"{statistics.median(figures[name] for figures in rounds):.{digits}f}"
    if name != reference and reference in rounds[0]:
        text += " ({:.2f}; {:.2f} to {:.2f})".format(*ratio(rounds, name, reference))
    return text


def row(cells):
    """A line of a Markdown table."""
    return "| " + " | ".join(cells) + " |"


def table(header, rows=()):
    """A Markdown table; without rows its head, for rows that are printed as they come."""
    return "\n".join(row(cells) for cells in [header, ["---"] * len(header), *rows])


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("engine", choices=PEERS)
    parser.add_argument("--precision", required=True)
    parser.add_argument("--threads", type=int, required=True)
    parser.add_argument("--models", type=pathlib.Path, required=True)
    parser.add_argument("--form", required=True)
    arguments = parser.parse_args()
    serve(runner(arguments.engine, arguments.precision, arguments.threads, arguments.models, arguments.form))
