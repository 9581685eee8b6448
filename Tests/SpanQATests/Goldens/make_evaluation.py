"""Makes evaluation.json: what transformers' postprocessing answers to all of SQuAD 1.1 dev with ONNX Runtime's logits of spanqa-mini.

    python make_evaluation.py utils_qa.py [../shared] [--logits logits.npz]

Made with onnxruntime 1.32.0, transformers 4.57.6, tokenizers 0.22.2, numpy 2.4.6, Python 3.11. utils_qa.py is the file of that name in
transformers' examples/pytorch/question-answering, which no package holds. --logits keeps the logits for the next run.

Two ways of transformers to make answers of logits, both with windows of 384 tokens, stride 128 and answers of at most 30 tokens:
`run_qa`, postprocess_qa_predictions of utils_qa.py (the 20 best starts and ends of each window, ranked by the sum of their logits over all
windows), and `pipeline`, the question-answering pipeline's postprocessing (each window's spans ranked by their probability within it).

evaluation.json: `exact_match` and `f1` of `run_qa` by the rules of the official script, `predictions`, its texts in the order of the
questions in the file, and `pipeline`, the pipeline's texts by question number where they are others.
"""

import argparse
import collections
import importlib.util
import json
import os
import re
import string

import numpy as np
import onnxruntime
import torch
import transformers

HERE = os.path.dirname(os.path.abspath(__file__))
LENGTH, STRIDE, LONGEST = 384, 128, 30


def windows(tokenizer, questions):
    """The features of run_qa.py: token ids, and the offsets of the tokens that are the passage's."""
    features = []
    for question in questions:
        encoded = tokenizer(
            question["question"].lstrip(), question["context"], truncation="only_second", max_length=LENGTH, stride=STRIDE,
            return_overflowing_tokens=True, return_offsets_mapping=True)
        for index, ids in enumerate(encoded["input_ids"]):
            offsets = [
                offset if sequence == 1 else None
                for offset, sequence in zip(encoded["offset_mapping"][index], encoded.sequence_ids(index))]
            features.append({"example_id": question["id"], "input_ids": ids, "offset_mapping": offsets})
    return features


def logits(model, features, size=8):
    """Start and end logits of every window, computed in padded batches of windows of like length."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 2
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    order = sorted(range(len(features)), key=lambda index: len(features[index]["input_ids"]))
    # What stands behind a window's tokens is never an answer.
    found = np.full((2, len(features), LENGTH), -1e9, np.float32)
    for first in range(0, len(order), size):
        batch = order[first : first + size]
        rows = [features[index]["input_ids"] for index in batch]
        width = max(map(len, rows))
        values = session.run(
            ["start_logits", "end_logits"],
            {"input_ids": np.array([row + [0] * (width - len(row)) for row in rows], np.int64),
             "attention_mask": np.array([[1] * len(row) + [0] * (width - len(row)) for row in rows], np.int64)})
        for place, index in enumerate(batch):
            for column in range(2):
                found[column, index, : len(rows[place])] = values[column][place, : len(rows[place])]
        if first % 800 == 0:
            print(first, "of", len(order), "windows", flush=True)
    return found


class Recorded(transformers.DistilBertForQuestionAnswering):
    """Gives the logits that were computed for a window's ids."""

    known = {}

    def forward(self, input_ids, attention_mask=None, **_):
        rows = [self.known[tuple(ids[mask == 1].tolist())] for ids, mask in zip(input_ids, attention_mask)]
        start, end = (torch.from_numpy(np.stack([row[column] for row in rows])) for column in range(2))
        width = input_ids.shape[1]
        return transformers.modeling_outputs.QuestionAnsweringModelOutput(
            start_logits=start[:, :width], end_logits=end[:, :width])


def pipeline_texts(tokenizer, questions, features, found):
    Recorded.known = {
        tuple(feature["input_ids"]): (found[0, index], found[1, index]) for index, feature in enumerate(features)}
    model = Recorded(transformers.DistilBertConfig(n_layers=1, dim=12, hidden_dim=12)).eval()
    answerer = transformers.pipeline("question-answering", model=model, tokenizer=tokenizer, device="cpu")
    return [
        answerer(
            question=question["question"], context=question["context"], max_seq_len=LENGTH, doc_stride=STRIDE,
            max_answer_len=LONGEST, align_to_words=False)["answer"]
        for question in questions]


def normalized(text):
    text = "".join(character for character in text.lower() if character not in string.punctuation)
    return re.sub(r"\b(a|an|the)\b", " ", text).split()


def f1(prediction, gold):
    prediction, gold = normalized(prediction), normalized(gold)
    same = sum((collections.Counter(prediction) & collections.Counter(gold)).values())
    if same == 0:
        return 0
    precision, recall = same / len(prediction), same / len(gold)
    return 2 * precision * recall / (precision + recall)


def scores(questions, texts):
    exact = sum(
        max(normalized(text) == normalized(gold) for gold in question["golds"]) for question, text in zip(questions, texts))
    overlap = sum(max(f1(text, gold) for gold in question["golds"]) for question, text in zip(questions, texts))
    return 100 * exact / len(questions), 100 * overlap / len(questions)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("utils_qa")
    parser.add_argument("shared", nargs="?", default=os.path.join(HERE, "../../../../shared"))
    parser.add_argument("--logits")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    spec = importlib.util.spec_from_file_location("utils_qa", arguments.utils_qa)
    utils_qa = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(utils_qa)

    model = os.path.join(arguments.shared, "models/spanqa-mini")
    tokenizer = transformers.AutoTokenizer.from_pretrained(model)
    with open(os.path.join(arguments.shared, "data/squad/dev-v1.1.json"), encoding="utf-8") as file:
        articles = json.load(file)["data"]
    questions = [
        {"id": qa["id"], "question": qa["question"], "context": paragraph["context"],
         "golds": [answer["text"] for answer in qa["answers"]]}
        for article in articles for paragraph in article["paragraphs"] for qa in paragraph["qas"]]
    features = windows(tokenizer, questions)
    print(len(questions), "questions,", len(features), "windows")
    if arguments.logits and os.path.exists(arguments.logits):
        found = np.load(arguments.logits)["logits"]
    else:
        found = logits(os.path.join(model, "onnx/model.onnx"), features)
        if arguments.logits:
            np.savez_compressed(arguments.logits, logits=found)

    class Examples(list):
        """Rows, and as datasets have it a column by its name."""

        def __getitem__(self, key):
            return [row[key] for row in self] if isinstance(key, str) else list.__getitem__(self, key)

    predictions = utils_qa.postprocess_qa_predictions(
        Examples(questions), features, (found[0], found[1]), n_best_size=20, max_answer_length=LONGEST)
    texts = [predictions[question["id"]] for question in questions]
    others = pipeline_texts(tokenizer, questions, features, found)
    apart = {index: other for index, (text, other) in enumerate(zip(texts, others)) if text != other}
    exact, overlap = scores(questions, texts)
    print("run_qa: EM", exact, "F1", overlap, "; pipeline: EM and F1", *scores(questions, others), ";", len(apart), "texts apart")
    with open(os.path.join(HERE, "evaluation.json"), "w", encoding="utf-8") as file:
        lines = ",\n".join(json.dumps(text, ensure_ascii=False) for text in texts)
        file.write('{"exact_match":%r,"f1":%r,\n"pipeline":%s,\n"predictions":[\n%s\n]}\n' % (
            exact, overlap, json.dumps(apart, ensure_ascii=False, separators=(",", ":")), lines))


if __name__ == "__main__":
    main()
