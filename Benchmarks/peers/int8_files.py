"""int8 files of SpanQA and of its peers, each run by SpanQA and by ONNX Runtime: F1 of both, and how often both give the same text.

    pip install onnxruntime onnx "optimum-onnx[onnxruntime]" openvino transformers
    swift build -c release --product spanqa
    python Benchmarks/peers/int8_files.py --model MODEL --data SQUAD --folder FOLDER [--questions 1000] [--only NAME,…] [--openvino] [--again]

MODEL is a model folder with onnx/model.onnx in float32, SQUAD a folder with train-v1.1.json and dev-v1.1.json; FOLDER receives the files,
and results.json with what was measured: a file whose result for these questions is there is not run again, so that a run can be cut off and
taken up (`--again` forgets the results of the files that are named).
Questions are spread evenly over the dev set, calibration questions over the training set. Both engines see the same windows of at most
384 tokens, one at a time, and the best span (answers of up to 30 tokens) is taken from the logits of either by the same lines below, so
that nothing but the logits differs. F1 is that of SQuAD's official script.

Measured with onnxruntime 1.32.0, optimum 2.1.0, optimum-onnx 0.1.0, openvino 2026.4.1, transformers 4.57.6.
"""
import argparse
import collections
import json
import pathlib
import re
import shutil
import string
import subprocess
import sys

import numpy

ROOT = pathlib.Path(__file__).resolve().parents[2]
LENGTH, STRIDE, LONGEST = 384, 128, 30
CALIBRATION = 64


# MARK: Questions

def questions(path, count):
    with open(path, encoding="utf-8") as file:
        found = [(question, paragraph["context"]) for article in json.load(file)["data"]
                 for paragraph in article["paragraphs"] for question in paragraph["qas"]]
    count = min(count, len(found))
    return [found[k * len(found) // count] for k in range(count)]


class Windows:
    """Questions as windows, and logits as answers."""

    def __init__(self, model, asked):
        from transformers import AutoTokenizer

        tokenizer = AutoTokenizer.from_pretrained(model)
        self.asked, self.windows = asked, []
        for index, (question, passage) in enumerate(asked):
            encoded = tokenizer(
                question["question"].strip(), passage, truncation="only_second", max_length=LENGTH, stride=STRIDE,
                return_overflowing_tokens=True, return_offsets_mapping=True)
            for part, ids in enumerate(encoded["input_ids"]):
                places = [k for k, side in enumerate(encoded.sequence_ids(part)) if side == 1]
                self.windows.append((index, ids, places[0], places[-1] + 1, encoded["offset_mapping"][part]))

    def __iter__(self):
        return (window[1] for window in self.windows)

    def texts(self, logits):
        best = {}
        for (index, _, first, end, offsets), (start, stop) in zip(self.windows, logits):
            sums = numpy.add.outer(start[first:end].astype(float), stop[first:end].astype(float))
            inside = numpy.triu(numpy.ones_like(sums)) - numpy.triu(numpy.ones_like(sums), LONGEST)
            sums = numpy.where(inside > 0, sums, -numpy.inf)
            i, j = numpy.unravel_index(sums.argmax(), sums.shape)
            if index not in best or sums[i, j] > best[index][0]:
                passage = self.asked[index][1]
                best[index] = (sums[i, j], passage[offsets[first + i][0]:offsets[first + j][1]])
        return [best[index][1] for index in range(len(self.asked))]

    def f1(self, texts):
        def words(text):
            text = "".join(letter for letter in text.lower() if letter not in string.punctuation)
            return re.sub(r"\b(a|an|the)\b", " ", text).split()

        def score(found, truth):
            found, truth = words(found), words(truth)
            same = sum((collections.Counter(found) & collections.Counter(truth)).values())
            return 2 * same / (len(found) + len(truth)) if same else 0

        return 100 * numpy.mean([max(score(text, answer["text"]) for answer in question["answers"])
                                 for text, (question, _) in zip(texts, self.asked)])


# MARK: Engines

def onnx_runtime(path, windows, threads):
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    names = [value.name for value in session.get_inputs()]
    result = []
    for ids in windows:
        feed = {"input_ids": numpy.array([ids]), "attention_mask": numpy.ones((1, len(ids)), numpy.int64)}
        outputs = session.run(["start_logits", "end_logits"], {name: feed[name] for name in names})
        result.append((outputs[0][0], outputs[1][0]))
    return result


def spanqa(path, windows, threads, command, folder):
    """SpanQA's logits do not depend on a batch, so that many windows go in at once."""
    windows = list(windows)
    result = []
    for first in range(0, len(windows), 128):
        rows = windows[first:first + 128]
        longest = max(map(len, rows))
        batch = {"input_ids": [row + [0] * (longest - len(row)) for row in rows],
                 "attention_mask": [[1] * len(row) + [0] * (longest - len(row)) for row in rows]}
        (folder / "batch.json").write_text(json.dumps(batch))
        subprocess.run(
            [command, "logits", "--model", path, "--input", folder / "batch.json", "--output", folder / "logits.json",
             "--threads", str(threads)], check=True)
        found = json.loads((folder / "logits.json").read_text())
        result += [(numpy.array(start[:len(row)], numpy.float32), numpy.array(stop[:len(row)], numpy.float32))
                   for row, start, stop in zip(rows, found["start_logits"], found["end_logits"])]
    return result


def int8_layers(path, command):
    """How many of the encoder's linear layers SpanQA multiplies in int8, and how many values between operations it rounds."""
    printed = subprocess.run([command, "model", "--model", path, "--json"], capture_output=True, text=True)
    if printed.returncode:
        return "interpreted", 0
    model = json.loads(printed.stdout)
    layers = [layer for layer in model["linear_layers"] if layer["name"] != "head"]
    integers = sum(layer["computed_type"] != "float32" for layer in layers)
    return f"{integers} of {len(layers)}", model["quantised_between_operations"]


def openvino_difference(path, windows, expected):
    """The largest difference of OpenVINO's logits to those expected, over some windows."""
    import openvino

    request = openvino.Core().compile_model(str(path), "CPU", {"INFERENCE_PRECISION_HINT": "f32"}).create_infer_request()
    largest = 0
    for ids, (start, stop) in zip(windows, expected):
        outputs = request.infer({"input_ids": numpy.array([ids]), "attention_mask": numpy.ones((1, len(ids)), numpy.int64)})
        largest = max(largest, abs(outputs["start_logits"][0] - start).max(), abs(outputs["end_logits"][0] - stop).max())
    return largest


# MARK: Files

class Files:
    """Makes each file when it is first asked for."""

    def __init__(self, arguments):
        self.source = arguments.model / "onnx/model.onnx"
        self.folder, self.command, self.arguments = arguments.folder, arguments.spanqa, arguments
        (self.folder / "onnx").mkdir(parents=True, exist_ok=True)
        for name in ["vocab.txt", "tokenizer.json", "tokenizer_config.json", "config.json"]:
            shutil.copyfile(arguments.model / name, self.folder / name)

    OURS = {
        "spanqa-dynamic": [],
        "spanqa-dynamic-smoothed": ["--calibration"],
        "spanqa-dynamic-rows": ["--activations", "dynamic-rows"],
        "spanqa-dynamic-rows-smoothed": ["--activations", "dynamic-rows", "--calibration"],
        "spanqa-static": ["--activations", "static", "--calibration"],
        "spanqa-static-unsmoothed": ["--activations", "static", "--no-smoothing", "--calibration"],
    }
    DYNAMIC = {
        "ort-dynamic-int8": dict(), "ort-dynamic-int8-channel": dict(per_channel=True),
        "ort-dynamic-uint8": dict(weight="QUInt8"), "ort-dynamic-uint8-channel": dict(weight="QUInt8", per_channel=True),
        "ort-dynamic-int8-reduced": dict(reduce_range=True),
        "ort-dynamic-int8-channel-reduced": dict(reduce_range=True, per_channel=True),
    }
    STATIC = {
        "ort-static-qdq": dict(form="QDQ"), "ort-static-qdq-channel": dict(form="QDQ", per_channel=True),
        "ort-static-qdq-matmul": dict(form="QDQ", operators=["MatMul"]),
        "ort-static-qoperator": dict(form="QOperator"),
        "ort-static-qoperator-matmul": dict(form="QOperator", operators=["MatMul"]),
    }
    OPTIMUM = {
        "optimum-avx2": ["--avx2"], "optimum-avx512-vnni-channel": ["--avx512_vnni", "--per_channel"],
        "optimum-arm64": ["--arm64"],
    }
    NAMES = ["float32", *OURS, *DYNAMIC, *STATIC, *OPTIMUM]

    def __getitem__(self, name):
        path = self.folder / "onnx" / f"{name}.onnx"
        if not path.exists():
            self.make(name, path)
        return path

    def make(self, name, path):
        if name == "float32":
            shutil.copyfile(self.source, path)
        elif name in self.OURS:
            options = list(self.OURS[name])
            if options[-1:] == ["--calibration"]:
                options.append(self.arguments.data / "train-v1.1.json")
            subprocess.run(
                [self.command, "quantize", "--model", self.source, "--output", path, "--threads",
                 str(self.arguments.threads), *options], check=True, stdout=subprocess.DEVNULL)
        elif name in self.OPTIMUM:
            target = self.folder / name
            shutil.rmtree(target, ignore_errors=True)
            source = self.folder / "optimum-source"
            source.mkdir(exist_ok=True)
            for file in [self.folder / "config.json", self.source]:
                shutil.copyfile(file, source / file.name)
            subprocess.run(
                [pathlib.Path(sys.executable).parent / "optimum-cli", "onnxruntime", "quantize", "--onnx_model", source, "-o", target,
                 *self.OPTIMUM[name]], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            shutil.move(target / "model_quantized.onnx", path)
        elif name in self.DYNAMIC:
            from onnxruntime.quantization import QuantType, quantize_dynamic

            options = dict(self.DYNAMIC[name])
            weight = getattr(QuantType, options.pop("weight", "QInt8"))
            quantize_dynamic(str(self.source), str(path), weight_type=weight, **options)
        else:
            self.make_static(path, **self.STATIC[name])

    def make_static(self, path, form, operators=None, **options):
        from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
        from onnxruntime.quantization.shape_inference import quant_pre_process

        prepared = self.folder / "prepared.onnx"
        if not prepared.exists():
            quant_pre_process(str(self.source), str(prepared), skip_symbolic_shape=True)

        class Reader(CalibrationDataReader):
            def __init__(self, windows):
                self.left = iter(windows)

            def get_next(self):
                ids = next(self.left, None)
                if ids is None:
                    return None
                return {"input_ids": numpy.array([ids]), "attention_mask": numpy.ones((1, len(ids)), numpy.int64)}

        asked = questions(self.arguments.data / "train-v1.1.json", CALIBRATION)
        quantize_static(
            str(prepared), str(path), Reader(Windows(self.arguments.model, asked)), quant_format=getattr(QuantFormat, form),
            op_types_to_quantize=operators, activation_type=QuantType.QUInt8, weight_type=QuantType.QInt8, **options)


class Results:
    """What was measured, by file, kept from run to run."""

    def __init__(self, path, questions):
        self.path, self.questions = path, questions
        self.entries = json.loads(path.read_text()) if path.exists() else {}

    def __contains__(self, name):
        return self.entries.get(name, {}).get("questions") == self.questions

    def __getitem__(self, name):
        return self.entries[name]

    def __setitem__(self, name, entry):
        self.entries[name] = dict(entry, questions=self.questions)
        fresh = self.path.with_suffix(".new")
        fresh.write_text(json.dumps(self.entries, indent=1))
        fresh.replace(self.path)

    def forget(self, name):
        self.entries.pop(name, None)


def measure(path, windows, arguments):
    theirs = onnx_runtime(path, windows, arguments.threads)
    ours = spanqa(path, windows, arguments.threads, arguments.spanqa, arguments.folder)
    texts = windows.texts(theirs), windows.texts(ours)
    layers, roundings = int8_layers(path, arguments.spanqa)
    entry = dict(
        int8_layers=layers, roundings=roundings, onnx_runtime=windows.f1(texts[0]), spanqa=windows.f1(texts[1]),
        same_text=100 * float(numpy.mean([a == b for a, b in zip(*texts)])),
        largest_difference=float(max(abs(a - b).max() for pair in zip(theirs, ours) for a, b in zip(*pair))))
    if arguments.openvino and path.stem in Files.OURS:
        entry["openvino_difference"] = float(openvino_difference(path, list(windows)[:8], ours))
    return entry


def row(name, entry):
    openvino = entry.get("openvino_difference")
    return (f"| `{name}` | {entry['int8_layers']} | {entry['roundings']} | {entry['onnx_runtime']:.2f} | {entry['spanqa']:.2f} | "
            f"{entry['spanqa'] - entry['onnx_runtime']:+.2f} | {entry['same_text']:.1f} % | {entry['largest_difference']:.2f} | "
            f"{'' if openvino is None else f'{openvino:.2f}'} |")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=pathlib.Path, required=True)
    parser.add_argument("--data", type=pathlib.Path, required=True)
    parser.add_argument("--folder", type=pathlib.Path, required=True)
    parser.add_argument("--spanqa", type=pathlib.Path, default=ROOT / ".build/release/spanqa")
    parser.add_argument("--questions", type=int, default=1000)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--only", help="names of files, with commas between")
    parser.add_argument("--openvino", action="store_true", help="load SpanQA's files in OpenVINO too")
    parser.add_argument("--again", action="store_true", help="measure the named files again")
    arguments = parser.parse_args()
    files = Files(arguments)
    windows = Windows(arguments.model, questions(arguments.data / "dev-v1.1.json", arguments.questions))
    results = Results(arguments.folder / "results.json", arguments.questions)
    print(f"{arguments.questions} questions, {len(windows.windows)} windows; OpenVINO: the largest difference of a logit in 8 windows")
    print("| file | layers in int8 | values rounded between operations | F1, ONNX Runtime | F1, SpanQA | difference | same text "
          "| largest difference of a logit | OpenVINO |")
    print("|---|---|---|---|---|---|---|---|---|", flush=True)
    for name in arguments.only.split(",") if arguments.only else Files.NAMES:
        if arguments.again:
            results.forget(name)
        if name not in results:
            results[name] = measure(files[name], windows, arguments)
        print(row(name, results[name]), flush=True)


if __name__ == "__main__":
    main()
