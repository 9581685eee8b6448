"""Fine-tunes with PyTorch exactly as `spanqa finetune` does: the same windows in the same order, rate, weight decay and clipping, no dropout.

    pip install torch transformers safetensors
    python Benchmarks/peers/finetune.py --model FOLDER --train squad.json --output FOLDER [--limit 8000 --epochs 1 …]

`--model` is a DistilBERT in the hub's layout, such as `spanqa export` writes. The output is another one, with `metrics.jsonl` as `spanqa finetune`
writes it; `spanqa evaluate` scores both. Windows are made with transformers' tokeniser as its example run_qa.py does; the loss leaves the
logits of padding out, which a batch without padding does not have.
"""
import argparse
import json
import pathlib
import time

import torch
from torch.nn.functional import cross_entropy
from transformers import AutoConfig, AutoTokenizer, DistilBertForQuestionAnswering, get_linear_schedule_with_warmup

MASK = (1 << 64) - 1


def mix(x):
    """The output function of SplitMix64 (Steele et al. 2014)."""
    x = ((x ^ x >> 30) * 0xBF58476D1CE4E5B9) & MASK
    x = ((x ^ x >> 27) * 0x94D049BB133111EB) & MASK
    return x ^ x >> 31


def permutation(count, seed, epoch):
    """The order of the examples in an epoch: Fisher & Yates with words of the key (Sources/FineTuning/Data/Permutation.swift)."""
    key = mix(seed ^ mix(epoch + 1))
    order = list(range(count))
    for index in range(count - 1, 0, -1):
        word = mix((key + (index + 1) * 0x9E3779B97F4A7C15) & MASK)
        other = word * (index + 1) >> 64
        order[index], order[other] = order[other], order[index]
    return order


def windows(path, tokenizer, limit, length, stride):
    """Windows with the tokens of the first answer; those that do not hold it whole have the first token as target."""
    found = []
    for article in json.loads(path.read_text())["data"]:
        for paragraph in article["paragraphs"]:
            for question in paragraph["qas"]:
                if limit == 0:
                    return found
                limit -= 1
                answer = question["answers"][0]
                begin, text, context = answer["answer_start"], answer["text"], paragraph["context"]
                if context[begin:begin + len(text)] != text:
                    places = [i for i in range(len(context)) if context.startswith(text, i)]
                    if not places:
                        continue
                    begin = min(places, key=lambda place: abs(place - begin))
                end = begin + len(text)
                encoded = tokenizer(
                    question["question"], context, truncation="only_second", max_length=length, stride=stride,
                    return_overflowing_tokens=True, return_offsets_mapping=True)
                for part, ids in enumerate(encoded["input_ids"]):
                    sequence = encoded.sequence_ids(part)
                    tokens = [i for i, (a, b) in enumerate(encoded["offset_mapping"][part])
                              if sequence[i] == 1 and a < end and b > begin]
                    first, last = sequence.index(1), len(ids) - 2
                    spans = encoded["offset_mapping"][part]
                    whole = tokens and spans[first][0] <= begin and spans[last][1] >= end
                    found.append((ids, tokens[0] if whole else 0, tokens[-1] if whole else 0))
    return found


def summed_loss(model, examples):
    longest = max(len(ids) for ids, _, _ in examples)
    ids = torch.zeros(len(examples), longest, dtype=torch.long)
    mask = torch.zeros_like(ids)
    for row, (tokens, _, _) in enumerate(examples):
        ids[row, :len(tokens)] = torch.tensor(tokens)
        mask[row, :len(tokens)] = 1
    output = model(input_ids=ids, attention_mask=mask)
    loss = 0
    for logits, column in ((output.start_logits, 1), (output.end_logits, 2)):
        targets = torch.tensor([example[column] for example in examples])
        loss = loss + cross_entropy(logits.masked_fill(mask == 0, -1e30), targets, reduction="sum") / 2
    return loss


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=pathlib.Path, required=True)
    parser.add_argument("--train", type=pathlib.Path, required=True)
    parser.add_argument("--output", type=pathlib.Path, required=True)
    parser.add_argument("--limit", type=int, default=-1)
    parser.add_argument("--epochs", type=float, default=1)
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument("--learning-rate", type=float, default=3e-5)
    parser.add_argument("--warmup", type=float, default=0.1)
    parser.add_argument("--weight-decay", type=float, default=0.01)
    parser.add_argument("--clip", type=float, default=1.0)
    parser.add_argument("--max-length", type=int, default=384)
    parser.add_argument("--doc-stride", type=int, default=128)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()

    torch.set_num_threads(arguments.threads)
    tokenizer = AutoTokenizer.from_pretrained(arguments.model)
    examples = windows(arguments.train, tokenizer, arguments.limit, arguments.max_length, arguments.doc_stride)
    config = AutoConfig.from_pretrained(arguments.model, dropout=0.0, attention_dropout=0.0, qa_dropout=0.0)
    model = DistilBertForQuestionAnswering.from_pretrained(arguments.model, config=config).train()

    steps_in_epoch = -(-len(examples) // arguments.batch_size)
    steps = max(1, round(arguments.epochs * steps_in_epoch))
    plain = [p for n, p in model.named_parameters() if n.endswith("bias") or "norm" in n.lower()]
    decayed = [p for n, p in model.named_parameters() if not (n.endswith("bias") or "norm" in n.lower())]
    optimizer = torch.optim.AdamW(
        [{"params": decayed, "weight_decay": arguments.weight_decay}, {"params": plain, "weight_decay": 0.0}],
        lr=arguments.learning_rate, eps=1e-8)
    schedule = get_linear_schedule_with_warmup(optimizer, -int(-arguments.warmup * steps // 1), steps)

    arguments.output.mkdir(parents=True, exist_ok=True)
    print(f"{len(examples)} windows, {steps} steps", flush=True)
    with open(arguments.output / "metrics.jsonl", "w") as metrics:
        for step in range(steps):
            epoch, place = divmod(step, steps_in_epoch)
            if place == 0:
                order = permutation(len(examples), arguments.seed, epoch)
            batch = [examples[i] for i in order[place * arguments.batch_size:(place + 1) * arguments.batch_size]]
            begin = time.perf_counter()
            optimizer.zero_grad()
            # Windows of about one length together: less padding, the same sum.
            batch.sort(key=lambda example: len(example[0]))
            total = 0.0
            for first in range(0, len(batch), 4):
                loss = summed_loss(model, batch[first:first + 4]) / len(batch)
                loss.backward()
                total += loss.item()
            norm = torch.nn.utils.clip_grad_norm_(model.parameters(), arguments.clip)
            rate = schedule.get_last_lr()[0]
            optimizer.step()
            schedule.step()
            metrics.write(json.dumps({
                "step": step + 1, "loss": total, "learning_rate": rate, "gradient_norm": norm.item(),
                "tokens": sum(len(ids) for ids, _, _ in batch), "seconds": time.perf_counter() - begin}) + "\n")
            metrics.flush()
    model.save_pretrained(arguments.output)
    tokenizer.save_pretrained(arguments.output)


if __name__ == "__main__":
    main()
