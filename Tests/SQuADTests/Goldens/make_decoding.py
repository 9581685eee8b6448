"""Makes decoding.json: windows as tokenizers cuts them, and spans as transformers' pipeline decodes them.

    python make_decoding.py [../shared]

Made with transformers 4.57.6, tokenizers 0.22.2, torch 2.15 (CPU, float32), numpy 2.4, Python 3.11.

`windows`: question tokens, passage tokens, longest window, stride, and the range of passage tokens in each window.
`cases`: a passage in one window of spanqa-mini: its text, the UTF-8 range and word of each token, the raw logits of the
passage's tokens and of [CLS], and for each setting the pipeline's answers [start, end, score], in UTF-8 bytes.
"""

import json
import os
import sys

import torch
from transformers import AutoModelForQuestionAnswering, AutoTokenizer, pipeline

HERE = os.path.dirname(os.path.abspath(__file__))
SHARED = sys.argv[1] if len(sys.argv) > 1 else os.path.join(HERE, "../../../../shared")
MODEL = os.path.join(SHARED, "models/spanqa-mini")

PASSAGES = [
    ("Who built the lighthouse?",
     "The lighthouse of Håkan's Ness was built by Ingrid Ødegård in 1871. Ingrid Ødegård, an engineer of Tromsø, had "
     "built two others. INGRID ØDEGÅRD never saw it lit: the lamp, made in Paris, came in 1873."),
    ("When was the bridge closed?",
     "The bridge closed in March 1911 after a flood — it reopened in May 1912 — and closed for good in 1953."),
    ("What do microcalorimeters measure?",
     "Microcalorimeters, i.e. superconducting transition-edge thermometers, measure photoluminescence-free "
     "heat pulses of single X-ray photons (0.2–10 keV) at 50 mK."),
    ("Where does the river begin?", "山の名は白山。 The Tedori river begins at Mount Hakusan (白山), 2,702 m."),
    ("How long?", "Two hours."),
]
SETTINGS = [
    {"top_k": k, "align_to_words": words, "handle_impossible_answer": impossible, "max_answer_len": longest}
    for k, words, impossible, longest in [
        (1, False, False, 15), (5, False, False, 15), (5, True, False, 15), (1, True, False, 15),
        (3, False, True, 15), (3, True, True, 4), (8, False, False, 2), (2, False, True, 1)]]
CUTS = [
    (q, p, length, stride)
    for q, p in [(5, 30), (5, 12), (5, 13), (1, 200), (12, 77), (3, 1)]
    for length, stride in [(20, 0), (20, 4), (20, 11), (32, 8), (40, 16), (384, 128)]
    if length - q - 3 > stride]


def main():
    torch.manual_seed(0)
    tokenizer = AutoTokenizer.from_pretrained(MODEL)
    model = AutoModelForQuestionAnswering.from_pretrained(MODEL).eval()
    answerer = pipeline("question-answering", model=model, tokenizer=tokenizer, device="cpu")

    windows = []
    for q, p, length, stride in CUTS:
        encoded = tokenizer(
            " ".join(["a"] * q), " ".join(["b"] * p), truncation="only_second", max_length=length, stride=stride,
            return_overflowing_tokens=True, return_offsets_mapping=True)
        ranges = []
        for index in range(len(encoded["input_ids"])):
            held = [offset[0] // 2 for offset, side in zip(
                encoded["offset_mapping"][index], encoded.sequence_ids(index)) if side == 1]
            ranges.append([held[0], held[-1] + 1])
        windows.append([q, p, length, stride, ranges])

    cases = []
    for question, passage in PASSAGES:
        def byte(character):
            return len(passage[:character].encode())

        encoded = tokenizer(question, passage, return_tensors="pt", return_offsets_mapping=True)
        offsets = encoded.pop("offset_mapping")[0].tolist()
        with torch.no_grad():
            output = model(**encoded)
        rows = [row for row, side in enumerate(encoded.sequence_ids(0)) if side == 1]
        start, end = output.start_logits[0].tolist(), output.end_logits[0].tolist()
        settings = []
        for setting in SETTINGS:
            found = answerer(question=question, context=passage, **setting)
            found = [found] if isinstance(found, dict) else found
            # Where a passage has fewer spans than asked for the pipeline adds some that are none, with score 0.
            settings.append([setting, [[byte(a["start"]), byte(a["end"]), a["score"]] for a in found if a["score"] > 0]])
        cases.append({
            "passage": passage, "offsets": [[byte(offsets[row][0]), byte(offsets[row][1])] for row in rows],
            "words": [encoded.word_ids(0)[row] for row in rows],
            "cls": [start[0], end[0]], "start": [start[row] for row in rows], "end": [end[row] for row in rows],
            "answers": settings})

    def rounded(value):
        if isinstance(value, float):
            return float(f"{value:.9g}")
        if isinstance(value, list):
            return [rounded(item) for item in value]
        return {key: rounded(item) for key, item in value.items()} if isinstance(value, dict) else value

    with open(os.path.join(HERE, "decoding.json"), "w", encoding="utf-8") as file:
        def lines(values):
            return ",\n".join(
                json.dumps(rounded(value), ensure_ascii=False, separators=(",", ":")) for value in values)

        file.write('{"windows":[\n' + lines(windows) + '\n],"cases":[\n' + lines(cases) + "\n]}\n")


main()
