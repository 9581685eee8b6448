"""Makes metrics.json: answers normalised and scored by transformers' copy of SQuAD's script.

    python make_metrics.py

Made with transformers 4.57.6 (transformers/data/metrics/squad_metrics.py), Python 3.11.

`normalized`: a text and the words of its normal form. `questions`: [id, gold answers, prediction, no-answer
probability]; `report` is what `squad_evaluate` gives for them with threshold 0.6.
"""

import json
import os
import random

from transformers.data.metrics.squad_metrics import normalize_answer, squad_evaluate
from transformers.data.processors.squad import SquadExample

HERE = os.path.dirname(os.path.abspath(__file__))
PIECES = [
    "a", "an", "the", "A", "The", "AN", "thé", "a\u0301", "e\u0301", "é", "Denver", "Broncos", "24", "½", "²", "Σ", "ΟΔΟΣ", "Σ.",
    "İ", "ẞ", "ß", "ǅ", "名", "한", "🙂", "٣", "Ⅷ", "x_a", "$5.50", "a.b", "l'an", "“the”", "–", "—", "_", "'", "a-the-b", "ⓐ", "ª",
    "\u200d", "\u00ad", "ﬁ", "𝐚", "Å", "\u212b"]
SPACES = [" ", " ", " ", "", "\t", "\n", "\u00a0", "\u2003", "\u200b", "\u3000", "\x1c", "\x85", "\u2028", "\ufeff"]


def main():
    generator = random.Random(4)

    def text(longest):
        return "".join(
            generator.choice(PIECES) + generator.choice(SPACES) for _ in range(generator.randint(0, longest)))

    texts = [text(8) for _ in range(400)]
    words = ["the", "red", "fox", "of", "Rome", "in", "1911", "an", "owl"]
    examples, predictions, probabilities, questions = [], {}, {}, []
    for number in range(150):
        golds = [
            " ".join(generator.choices(words, k=generator.randint(0, 4)))
            for _ in range(generator.choice([0, 0, 1, 3]))]
        prediction = " ".join(generator.choices(words, k=generator.choice([0, 1, 2, 4])))
        if golds and generator.random() < 0.7:
            prediction = generator.choice(golds)
        name = f"q{number}"
        examples.append(SquadExample(
            name, "?", "", None, None, "", answers=[{"text": gold} for gold in golds], is_impossible=not golds))
        predictions[name] = prediction
        probabilities[name] = round(generator.random() * (0.7 if golds else 1), 1)
        questions.append([name, golds, prediction, probabilities[name]])
    # The order of the probabilities decides between equal ones.
    shuffled = dict(generator.sample(sorted(probabilities.items()), len(probabilities)))
    report = squad_evaluate(examples, predictions, shuffled, 0.6)
    with open(os.path.join(HERE, "metrics.json"), "w", encoding="utf-8") as file:
        json.dump({
            "normalized": [[t, normalize_answer(t).split(" ") if normalize_answer(t) else []] for t in texts],
            "questions": questions, "order": list(shuffled), "report": report}, file, separators=(",", ":"))
        file.write("\n")


main()
