"""Times SpanQA's executor beside ONNX Runtime, OpenVINO, CTranslate2 and PyTorch on DistilBERT-base with random weights.

    pip install torch transformers onnx onnxruntime openvino nncf ctranslate2
    swift build -c release --product spanqa
    python Benchmarks/peers/executors.py --models FOLDER [--threads 2] [--rounds 7] [--precision float32,int8] [--json FILE]

Same tokens' shapes, same number of threads, no padding inside a shape. The engines take turns within a round, each in a process of its own that
sleeps meanwhile, so that what else the machine does falls on all of them. A figure is the median over rounds of an engine's median within a
round; a ratio is the median over rounds of the ratios within a round, with the smallest and the largest.

Each peer runs as its documentation says is fastest on a processor, within the precision: ONNX Runtime with all graph optimisations, its
int8 by quantize_dynamic; OpenVINO with the latency hint and float32 products where float32 is asked for (it takes bfloat16 by itself where
the processor has it, which is another precision), its int8 by NNCF's post-training quantisation for transformers; CTranslate2 with its
float32 and int8 computation types; PyTorch in inference mode with fused attention, its int8 by dynamic quantisation of the linear layers.
"""
import argparse
import json
import pathlib
import statistics
import subprocess
import sys
import time

SHAPES = ["1x32", "1x128", "1x384", "8x128", "8x384"]
ENGINES = ["spanqa", "onnxruntime", "openvino", "ctranslate2", "pytorch"]


def torch_model():
    import torch
    from transformers import DistilBertConfig, DistilBertForQuestionAnswering

    torch.manual_seed(1)
    return DistilBertForQuestionAnswering(DistilBertConfig()).eval()


def make_models(folder):
    """Writes what is not there yet: float32 ONNX, and each engine's own form."""
    import numpy
    import torch

    folder.mkdir(parents=True, exist_ok=True)
    plain = folder / "float32.onnx"
    if not plain.exists():
        ids = torch.randint(0, 30000, (2, 8))
        torch.onnx.export(
            torch_model(), (ids, torch.ones_like(ids)), str(plain), dynamo=False, opset_version=17,
            input_names=["input_ids", "attention_mask"], output_names=["start_logits", "end_logits"],
            dynamic_axes={name: {0: "batch", 1: "tokens"}
                          for name in ["input_ids", "attention_mask", "start_logits", "end_logits"]})
    if not (folder / "onnxruntime-int8.onnx").exists():
        from onnxruntime.quantization import QuantType, quantize_dynamic

        quantize_dynamic(str(plain), str(folder / "onnxruntime-int8.onnx"), weight_type=QuantType.QInt8)
    if not (folder / "openvino-int8.xml").exists():
        import nncf
        import openvino

        def feed(seed):
            tokens = numpy.random.RandomState(seed).randint(0, 30000, (1, 128))
            return {"input_ids": tokens, "attention_mask": numpy.ones_like(tokens)}

        model = nncf.quantize(
            openvino.Core().read_model(str(plain)), nncf.Dataset(range(16), feed),
            model_type=nncf.ModelType.TRANSFORMER, preset=nncf.QuantizationPreset.MIXED, subset_size=16)
        openvino.save_model(model, str(folder / "openvino-int8.xml"), compress_to_fp16=False)
    if not (folder / "ctranslate2").exists():
        import ctranslate2
        from transformers import BertTokenizerFast

        source = folder / "transformers"
        torch_model().distilbert.save_pretrained(source)
        (source / "vocab.txt").write_text("\n".join(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
                                                    + [f"t{i}" for i in range(30517)]))
        BertTokenizerFast(str(source / "vocab.txt")).save_pretrained(source)
        ctranslate2.converters.TransformersConverter(str(source)).convert(str(folder / "ctranslate2"))


def runner(engine, precision, threads, folder):
    """A function that runs one batch of token ids."""
    import numpy

    if engine == "onnxruntime":
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        name = "float32.onnx" if precision == "float32" else "onnxruntime-int8.onnx"
        session = onnxruntime.InferenceSession(str(folder / name), options, providers=["CPUExecutionProvider"])
        return lambda ids: session.run(None, {"input_ids": ids, "attention_mask": numpy.ones_like(ids)})
    if engine == "openvino":
        import openvino

        settings = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_NUM_THREADS": threads, "INFERENCE_PRECISION_HINT": "f32"}
        name = "float32.onnx" if precision == "float32" else "openvino-int8.xml"
        request = openvino.Core().compile_model(str(folder / name), "CPU", settings).create_infer_request()
        return lambda ids: request.infer({"input_ids": ids, "attention_mask": numpy.ones_like(ids)})
    if engine == "ctranslate2":
        import ctranslate2

        encoder = ctranslate2.Encoder(
            str(folder / "ctranslate2"), device="cpu", inter_threads=1, intra_threads=threads, compute_type=precision)
        return lambda ids: numpy.array(encoder.forward_batch(ids.tolist()).last_hidden_state)
    import torch

    torch.set_num_threads(threads)
    model = torch_model()
    if precision == "int8":
        model = torch.ao.quantization.quantize_dynamic(model, {torch.nn.Linear}, dtype=torch.qint8)

    def run(ids):
        with torch.inference_mode():
            return model(torch.from_numpy(ids)).start_logits.numpy()

    return run


def work(engine, precision, threads, folder):
    """Reads `shape seconds` a line, prints the median in milliseconds."""
    import numpy

    run = runner(engine, precision, threads, folder)
    print("ready", flush=True)
    for line in sys.stdin:
        shape, seconds = line.split()
        batch, tokens = map(int, shape.split("x"))
        ids = numpy.random.RandomState(1).randint(0, 30000, (batch, tokens))
        run(ids)
        samples, end = [], time.perf_counter() + float(seconds)
        while len(samples) < 3 or time.perf_counter() < end:
            start = time.perf_counter()
            run(ids)
            samples.append(time.perf_counter() - start)
        print(1000 * statistics.median(samples), flush=True)


class Peer:
    def __init__(self, engine, precision, threads, folder):
        self.process = subprocess.Popen(
            [sys.executable, __file__, "--worker", engine, "--precision", precision, "--threads", str(threads),
             "--models", str(folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for line in self.process.stdout:
            if line.strip() == "ready":
                return
        raise SystemExit(f"{engine} {precision} did not start")

    def time(self, shape, seconds):
        self.process.stdin.write(f"{shape} {seconds}\n")
        self.process.stdin.flush()
        return float(self.process.stdout.readline())

    def close(self):
        self.process.stdin.close()
        self.process.wait()


class SpanQA:
    """The command, started anew for every figure; it times the executor alone, after a warm-up."""

    def __init__(self, command, precision, threads, folder):
        self.arguments = [command, "benchmark", "--model", str(folder / "float32.onnx"), "--precision", precision,
                          "--threads", str(threads), "--json"]

    def time(self, shape, seconds):
        output = subprocess.run(
            self.arguments + ["--shapes", shape, "--seconds", str(seconds)], check=True, capture_output=True, text=True)
        return json.loads(output.stdout)[0]["median_ms"]

    def close(self):
        pass


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", type=pathlib.Path, required=True, help="where models are kept")
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    parser.add_argument("--engines", default=",".join(ENGINES))
    parser.add_argument("--precision", default="float32,int8")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--shapes", default=",".join(SHAPES))
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=0.3, help="of each engine in each round")
    parser.add_argument("--spanqa", default=str(pathlib.Path(__file__).parents[2] / ".build/release/spanqa"))
    parser.add_argument("--json", type=pathlib.Path, help="where every round's figures go")
    arguments = parser.parse_args()
    if arguments.worker:
        return work(arguments.worker, arguments.precision, arguments.threads, arguments.models)

    make_models(arguments.models)
    figures = []
    for precision in arguments.precision.split(","):
        names = arguments.engines.split(",")
        engines = {
            name: SpanQA(arguments.spanqa, precision, arguments.threads, arguments.models) if name == "spanqa"
            else Peer(name, precision, arguments.threads, arguments.models) for name in names}
        print(f"\n{precision}, {arguments.threads} threads: median ms (times SpanQA's; least to most)\n")
        print("| batch×tokens | " + " | ".join(names) + " |\n|" + "---|" * (len(names) + 1))
        for shape in arguments.shapes.split(","):
            rounds = [{name: engine.time(shape, arguments.seconds) for name, engine in engines.items()}
                      for _ in range(arguments.rounds)]
            figures.append({"precision": precision, "threads": arguments.threads, "shape": shape, "rounds": rounds})
            cells = []
            for name in names:
                cell = f"{statistics.median(r[name] for r in rounds):.1f}"
                if name != "spanqa" and "spanqa" in names:
                    ratios = [r[name] / r["spanqa"] for r in rounds]
                    cell += f" ({statistics.median(ratios):.2f}; {min(ratios):.2f} to {max(ratios):.2f})"
                cells.append(cell)
            print(f"| {shape} | " + " | ".join(cells) + " |", flush=True)
        for engine in engines.values():
            engine.close()
    if arguments.json:
        arguments.json.write_text(json.dumps(figures, indent=1) + "\n")


if __name__ == "__main__":
    main()
