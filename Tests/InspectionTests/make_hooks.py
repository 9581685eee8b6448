"""Goldens of what an observer sees: every intermediate value of a small random DistilBertForQuestionAnswering, from PyTorch's hooks
(eager attention), the same with int8 simulated and the integers that its linear layers multiply, and its logits with a head or a layer left out.

    python make_hooks.py [FOLDER of spanqa-mini]        (torch 2.13.0, transformers 4.57.6; float32, one thread)

Writes Goldens/hooks.json and Goldens/hooks.f32 (little-endian floats, in the order that the JSON lists), and with a folder
Goldens/mini_norms.json: the Euclidean norm of every intermediate value of that model.
"""
import json
import sys
from pathlib import Path

import numpy as np
import torch
from torch import nn
from transformers import DistilBertConfig, DistilBertForQuestionAnswering

torch.set_num_threads(1)
torch.manual_seed(9)
folder = Path(__file__).parent / "Goldens"


def watch(model, ids, **arguments):
    """All values of one sequence, by the engine's names."""
    values, handles = {}, []

    def heads(x):
        return x.reshape(x.shape[0], model.config.n_heads, -1)

    def keep(module, name, of_input=False, shape=lambda x: x):
        def hook(_, inputs, output):
            output = output[0] if isinstance(output, tuple) else output
            values[name] = shape((inputs[0] if of_input else output)[0].detach())

        handles.append(module.register_forward_hook(hook))

    body = model.distilbert
    keep(body.embeddings, "embeddings")
    for index, layer in enumerate(body.transformer.layer):
        attention, ffn, name = layer.attention, layer.ffn, f"layer.{index}"
        keep(attention.q_lin, f"{name}.attention.query", shape=heads)
        keep(attention.k_lin, f"{name}.attention.key", shape=heads)
        keep(attention.v_lin, f"{name}.attention.value", shape=heads)
        keep(attention.out_lin, f"{name}.attention.context", of_input=True, shape=heads)
        keep(attention.out_lin, f"{name}.attention.output")
        keep(layer.sa_layer_norm, f"{name}.attention.residual", of_input=True)
        keep(layer.sa_layer_norm, f"{name}.attention.norm")
        keep(ffn.lin1, f"{name}.feed_forward.expanded")
        keep(ffn.lin2, f"{name}.feed_forward.middle", of_input=True)
        keep(ffn.lin2, f"{name}.feed_forward.output")
        keep(layer.output_layer_norm, f"{name}.feed_forward.residual", of_input=True)
        keep(layer.output_layer_norm, f"{name}.output")
    with torch.no_grad():
        output = model(input_ids=torch.tensor([ids]), output_attentions=True, **arguments)
        for handle in handles:
            handle.remove()
        for index, probabilities in enumerate(output.attentions):
            values[f"layer.{index}.attention.probabilities"] = probabilities[0]
        for name in ["embeddings"] + [f"layer.{index}.output" for index in range(model.config.n_layers)]:
            values[name.removesuffix(".output") + ".logits"] = model.qa_outputs(values[name])
        values["logits"] = torch.stack([output.start_logits[0], output.end_logits[0]], dim=1)
    return values


def simulate_int8(model, operands):
    """Linear layers but for the head: a scale for each row of the input and each output of the weights; word embeddings a scale a row.
    What the layers multiply goes to `operands` by the engine's names."""

    def rounded(x):
        scale = x.abs().amax(dim=-1, keepdim=True) / 127
        return torch.round(x / scale).clamp(-127, 127), scale

    def forward(layer, name):
        weights, weight_scale = rounded(layer.weight)

        def run(x):
            numbers, scale = rounded(x)
            for part, value in [("input", numbers[0]), ("input_scale", scale[0, :, 0]), ("weight", weights),
                                ("weight_scale", weight_scale[:, 0])]:
                operands[f"{name}.int8.{part}"] = value
            return (numbers.double() @ weights.double().T * (scale * weight_scale.T).double() + layer.bias).float()

        return run

    for index, layer in enumerate(model.distilbert.transformer.layer):
        attention, ffn = layer.attention, layer.ffn
        for linear, name in [(attention.q_lin, "attention.query"), (attention.k_lin, "attention.key"),
                             (attention.v_lin, "attention.value"), (attention.out_lin, "attention.output"),
                             (ffn.lin1, "feed_forward.expanded"), (ffn.lin2, "feed_forward.output")]:
            linear.forward = forward(linear, f"layer.{index}.{name}")
    table = model.distilbert.embeddings.word_embeddings.weight
    numbers, scale = rounded(table)
    table.copy_(numbers * scale)


config = DistilBertConfig(
    vocab_size=40, dim=24, n_heads=3, hidden_dim=44, n_layers=3, max_position_embeddings=32, dropout=0.0,
    attention_dropout=0.0, qa_dropout=0.0, attn_implementation="eager")
model = DistilBertForQuestionAnswering(config).eval()
with torch.no_grad():
    # Larger than transformers' own, so that attention is no mere mean.
    for name, parameter in model.named_parameters():
        if "layer_norm" in name or "LayerNorm" in name:
            parameter.copy_(torch.randn_like(parameter) * 0.2 + (1 if name.endswith("weight") else 0))
        else:
            parameter.copy_(torch.randn_like(parameter) * 0.25)

sequences = [torch.randint(0, config.vocab_size, (length,)).tolist() for length in [17, 6]]
floats, index = [], []


def put(kind, name, sequence, tensor):
    floats.append(tensor.detach().numpy().astype("<f4").ravel())
    index.append({"kind": kind, "name": name, "sequence": sequence, "shape": list(tensor.shape)})


for name, parameter in model.named_parameters():
    put("weight", name, 0, parameter)
for number, ids in enumerate(sequences):
    for name, value in watch(model, ids).items():
        put("float32", name, number, value)
    for layer in range(config.n_layers):
        for head in range(config.n_heads):
            mask = torch.ones(config.n_layers, config.n_heads)
            mask[layer, head] = 0
            put("head", f"{layer}.{head}", number, watch(model, ids, head_mask=mask)["logits"])
        block = model.distilbert.transformer.layer[layer]
        handle = block.register_forward_hook(lambda _, inputs, output: (output[0], inputs[0]) if len(output) > 1 else (inputs[0],))
        put("layer", str(layer), number, watch(model, ids)["logits"])
        handle.remove()
with torch.no_grad():
    simulate_int8(model, operands := {})
    integers = []
    for number, ids in enumerate(sequences):
        for name, value in watch(model, ids).items():
            put("int8", name, number, value)
        integers.append(dict(operands))
    for number, parts in enumerate(integers):
        for name, value in parts.items():
            put("operand", name, number, value)

np.concatenate(floats).tofile(folder / "hooks.f32")
(folder / "hooks.json").write_text(json.dumps({
    "vocabulary": config.vocab_size, "hidden": config.dim, "heads": config.n_heads, "feed_forward": config.hidden_dim,
    "layers": config.n_layers, "positions": config.max_position_embeddings, "sequences": sequences, "tensors": index,
}, indent=None))

if len(sys.argv) > 1:
    mini = DistilBertForQuestionAnswering.from_pretrained(sys.argv[1], attn_implementation="eager").eval()
    generator = torch.Generator().manual_seed(5)
    ids = [101] + torch.randint(1000, 20000, (60,), generator=generator).tolist() + [102]
    norms = {name: float(value.double().norm()) for name, value in watch(mini, ids).items()}
    (folder / "mini_norms.json").write_text(json.dumps({"ids": ids, "norms": norms}, indent=1) + "\n")
