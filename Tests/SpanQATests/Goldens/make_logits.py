"""Makes logits.json and logits.f32: what ONNX Runtime computes with spanqa-mini for real windows.

    python make_logits.py [../shared]

Made with onnxruntime 1.32, transformers 4.57, Python 3.11.

logits.json: `windows`, 500 dev questions of SQuAD 1.1 whose passage fits one window, each with its token ids and its best span
[start, end] by model_quantized.onnx, as rows of the window (answers up to 15 tokens, within the passage).
logits.f32: for the first 64 windows the start logits and then the end logits of model.onnx, in padded batches of eight; then the
same of model_quantized.onnx, each window alone. Little-endian float32, one value a token.
"""

import json
import os
import random
import sys

import numpy as np
import onnxruntime
from transformers import AutoTokenizer

HERE = os.path.dirname(os.path.abspath(__file__))
SHARED = sys.argv[1] if len(sys.argv) > 1 else os.path.join(HERE, "../../../../shared")
MODEL = os.path.join(SHARED, "models/spanqa-mini")


def session(name):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 2
    return onnxruntime.InferenceSession(os.path.join(MODEL, "onnx", name), options, providers=["CPUExecutionProvider"])


def run(model, rows):
    width = max(map(len, rows))
    ids = np.array([row + [0] * (width - len(row)) for row in rows], np.int64)
    mask = np.array([[1] * len(row) + [0] * (width - len(row)) for row in rows], np.int64)
    start, end = model.run(["start_logits", "end_logits"], {"input_ids": ids, "attention_mask": mask})
    return [(start[i, : len(row)], end[i, : len(row)]) for i, row in enumerate(rows)]


def best_span(ids, start, end, longest=15):
    first = ids.index(102) + 1
    best = None
    for i in range(first, len(ids) - 1):
        for j in range(i, min(i + longest, len(ids) - 1)):
            score = float(start[i]) + float(end[j])
            if best is None or score > best[0]:
                best = (score, i, j)
    return [best[1], best[2]]


def main():
    tokenizer = AutoTokenizer.from_pretrained(MODEL)
    with open(os.path.join(SHARED, "data/squad/dev-v1.1.json"), encoding="utf-8") as file:
        articles = json.load(file)["data"]
    questions = [(q["id"], q["question"], p["context"]) for a in articles for p in a["paragraphs"] for q in p["qas"]]
    random.Random(64).shuffle(questions)
    windows = []
    for name, question, context in questions:
        ids = tokenizer(question, context)["input_ids"]
        if len(ids) <= 384:
            windows.append((name, ids))
        if len(windows) == 500:
            break
    float32, int8 = session("model.onnx"), session("model_quantized.onnx")
    values = []
    # Batches of eight, padded to the longest.
    for first in range(0, 64, 8):
        for start, end in run(float32, [ids for _, ids in windows[first : first + 8]]):
            values += [start, end]
    spans = []
    for index, (name, ids) in enumerate(windows):
        ((start, end),) = run(int8, [ids])
        if index < 64:
            values += [start, end]
        spans.append({"id": name, "ids": ids, "span": best_span(ids, start, end)})
    np.concatenate(values).astype("<f4").tofile(os.path.join(HERE, "logits.f32"))
    with open(os.path.join(HERE, "logits.json"), "w") as file:
        rows = ",\n".join(json.dumps(span, separators=(",", ":")) for span in spans)
        file.write('{"float32Windows":64,"windows":[\n' + rows + "\n]}\n")


if __name__ == "__main__":
    main()
