"""Goldens of training: a small random DistilBertForQuestionAnswering, its gradients, and 20 steps of AdamW.

    python make_training.py        (torch 2.15.0, transformers 4.57.6; float32, one thread)

Writes Goldens/training.json and Goldens/training.f32 (little-endian floats, in the order that the JSON lists).
The loss is transformers', with the logits of padding left out of the softmax: our batches have no padding.
"""
import json
from pathlib import Path

import numpy as np
import torch
from torch.nn.functional import cross_entropy
from transformers import DistilBertConfig, DistilBertForQuestionAnswering, get_linear_schedule_with_warmup

torch.set_num_threads(1)
torch.manual_seed(8)
folder = Path(__file__).parent / "Goldens"

config = DistilBertConfig(
    vocab_size=31, dim=20, n_heads=2, hidden_dim=36, n_layers=2, max_position_embeddings=24, dropout=0.0,
    attention_dropout=0.0, qa_dropout=0.0)
model = DistilBertForQuestionAnswering(config).train()
with torch.no_grad():
    # Larger than transformers' own, so that no gradient is lost among rounding errors.
    for name, parameter in model.named_parameters():
        if "layer_norm" in name or "LayerNorm" in name:
            parameter.copy_(torch.randn_like(parameter) * 0.2 + (1 if name.endswith("weight") else 0))
        else:
            parameter.copy_(torch.randn_like(parameter) * 0.25)
names = [name for name, _ in model.named_parameters()]
floats, index = [], []


def put(kind, name, tensor):
    floats.append(tensor.detach().numpy().astype("<f4").ravel())
    index.append({"kind": kind, "name": name, "count": int(tensor.numel())})


for name, parameter in model.named_parameters():
    put("weight", name, parameter)

lengths = [[5, 24, 9, 17, 12, 3, 20, 8], [7, 7, 15], [24, 2, 11, 6]]
batches = []
for count in lengths:
    windows = []
    for length in count:
        start = int(torch.randint(0, length, ()))
        end = int(torch.randint(start, length, ()))
        windows.append({"ids": torch.randint(1, config.vocab_size, (length,)).tolist(), "start": start, "end": end})
    batches.append(windows)
# A position outside its window does not count.
batches[1][1]["start"] = batches[1][1]["end"] = 24


def loss_of(windows):
    longest = max(len(window["ids"]) for window in windows)
    ids = torch.zeros(len(windows), longest, dtype=torch.long)
    mask = torch.zeros_like(ids)
    for row, window in enumerate(windows):
        ids[row, : len(window["ids"])] = torch.tensor(window["ids"])
        mask[row, : len(window["ids"])] = 1
    output = model(input_ids=ids, attention_mask=mask)
    loss = 0
    for key, logits in (("start", output.start_logits), ("end", output.end_logits)):
        targets = torch.tensor([w[key] if w[key] < len(w["ids"]) else longest for w in windows])
        loss = loss + cross_entropy(logits.masked_fill(mask == 0, -1e30), targets, ignore_index=longest)
    return loss / 2


loss = loss_of(batches[0])
loss.backward()
for name, parameter in model.named_parameters():
    put("gradient", name, parameter.grad)

steps, rate, decay, clip = 20, 3e-3, 0.05, 1.0
plain = [p for n, p in model.named_parameters() if n.endswith("bias") or "norm" in n.lower()]
decayed = [p for n, p in model.named_parameters() if not (n.endswith("bias") or "norm" in n.lower())]
optimizer = torch.optim.AdamW(
    [{"params": decayed, "weight_decay": decay}, {"params": plain, "weight_decay": 0.0}], lr=rate, eps=1e-8)
schedule = get_linear_schedule_with_warmup(optimizer, 4, steps)
losses, norms = [], []
for step in range(steps):
    optimizer.zero_grad()
    value = loss_of(batches[step % len(batches)])
    value.backward()
    norms.append(float(torch.nn.utils.clip_grad_norm_(model.parameters(), clip)))
    optimizer.step()
    schedule.step()
    losses.append(value.item())
for name, parameter in model.named_parameters():
    put("trained", name, parameter)

np.concatenate(floats).tofile(folder / "training.f32")
(folder / "training.json").write_text(json.dumps({
    "configuration": {
        "vocabulary": config.vocab_size, "hidden": config.dim, "heads": config.n_heads, "feedForward": config.hidden_dim,
        "layers": config.n_layers, "positions": config.max_position_embeddings},
    "batches": batches, "loss": loss.item(), "losses": losses, "norms": norms,
    "rate": rate, "warmup": 4, "decay": decay, "clip": clip, "tensors": index}) + "\n")
