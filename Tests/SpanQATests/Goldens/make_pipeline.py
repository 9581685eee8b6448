"""Makes pipeline.json: what transformers' question-answering pipeline answers with spanqa-mini.

    python make_pipeline.py [../shared]

Made with transformers 4.57, torch 2.15 (CPU, float32), Python 3.11.

300 dev questions of SQuAD 1.1 whose passage fits one window, and 30 whose passage, several paragraphs of an article
joined by an empty line, needs more. Passages are not stored: `article` is the index in the dev set's `data`, and the
passage is its first `paragraphs` paragraphs, or for one window the question's own.

Each case has two lists of at most five answers, [text, start, end, score] with Unicode scalar offsets: `words`
(align_to_words, the pipeline's default) and `tokens` (align_to_words=False).
"""

import json
import os
import random
import sys
import warnings

import torch
from transformers import AutoModelForQuestionAnswering, AutoTokenizer, pipeline

HERE = os.path.dirname(os.path.abspath(__file__))
SHARED = sys.argv[1] if len(sys.argv) > 1 else os.path.join(HERE, "../../../../shared")
MODEL = os.path.join(SHARED, "models/spanqa-mini")
LENGTH, STRIDE = 384, 128


def main():
    warnings.filterwarnings("ignore")
    torch.set_num_threads(2)
    torch.manual_seed(0)
    tokenizer = AutoTokenizer.from_pretrained(MODEL)
    model = AutoModelForQuestionAnswering.from_pretrained(MODEL).eval()
    answerer = pipeline("question-answering", model=model, tokenizer=tokenizer, device="cpu")
    with open(os.path.join(SHARED, "data/squad/dev-v1.1.json"), encoding="utf-8") as file:
        articles = json.load(file)["data"]
    chooser = random.Random(20)

    def windows(question, passage):
        encoded = tokenizer(
            question, passage, truncation="only_second", max_length=LENGTH, stride=STRIDE,
            return_overflowing_tokens=True)
        return len(encoded["input_ids"])

    def answers(question, passage, align):
        found = answerer(
            question=question, context=passage, top_k=5, max_seq_len=LENGTH, doc_stride=STRIDE, align_to_words=align)
        found = [found] if isinstance(found, dict) else found
        return [[a["answer"], int(a["start"]), int(a["end"]), float(f"{a['score']:.8g}")] for a in found]

    def both(question, passage):
        return {"words": answers(question, passage, True), "tokens": answers(question, passage, False)}

    questions = [
        (index, paragraph["context"], question)
        for index, article in enumerate(articles)
        for paragraph in article["paragraphs"]
        for question in paragraph["qas"]]
    one = []
    for index, passage, question in chooser.sample(questions, len(questions)):
        if len(one) == 300:
            break
        if windows(question["question"], passage) == 1:
            one.append({"id": question["id"], "article": index, **both(question["question"], passage)})

    several = []
    for index, article in chooser.sample(list(enumerate(articles)), 30):
        count = chooser.randint(4, 16)
        paragraphs = article["paragraphs"][:count]
        passage = "\n\n".join(paragraph["context"] for paragraph in paragraphs)
        question = chooser.choice(chooser.choice(paragraphs)["qas"])
        number = windows(question["question"], passage)
        assert number > 1
        several.append({
            "id": question["id"], "article": index, "paragraphs": len(paragraphs), "windows": number,
            **both(question["question"], passage)})

    with open(os.path.join(HERE, "pipeline.json"), "w", encoding="utf-8") as file:
        def lines(cases):
            return ",\n".join(json.dumps(case, ensure_ascii=False, separators=(",", ":")) for case in cases)

        file.write('{"one":[\n' + lines(one) + '\n],"several":[\n' + lines(several) + "\n]}\n")


main()
