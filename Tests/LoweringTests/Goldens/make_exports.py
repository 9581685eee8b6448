"""Exports of random DistilBERT and BERT models in every way that a model comes, with the logits of ONNX Runtime.

    python make_exports.py                             writes the tiny models beside this script
    python make_exports.py --size base --output DIR    writes DistilBERT-base (random weights), which is never committed
    python make_exports.py --mini FOLDER               writes the logits of the models in FOLDER/onnx beside this script

Each model NAME.onnx has NAME.json: a list of cases, each with input_ids, attention_mask (and token_type_ids) and, by their
name, the outputs at the positions whose mask is 1, row after row.

Made with torch 2.15.0, transformers 4.57.6, onnx 1.23.2, onnxruntime 1.32.0.
"""
import argparse
import json
import os
import warnings

import numpy
import onnx
import onnxruntime
import torch
from transformers import (BertConfig, BertForQuestionAnswering, DistilBertConfig, DistilBertForQuestionAnswering,
                          DistilBertModel)

warnings.filterwarnings("ignore")
here = os.path.dirname(os.path.abspath(__file__))
INPUTS = ["input_ids", "attention_mask"]
SPANS = ["start_logits", "end_logits"]


def randomised(model, seed=1):
    """Weights as far from their initial values as a trained model's: biases, norms and all."""
    generator = torch.Generator().manual_seed(seed)
    for name, parameter in model.named_parameters():
        noise = torch.randn(parameter.shape, generator=generator)
        with torch.no_grad():
            if name.endswith("LayerNorm.weight") or "layer_norm.weight" in name:
                parameter.copy_(1 + 0.1 * noise)
            elif name.endswith("bias"):
                parameter.copy_(0.1 * noise)
            else:
                parameter.copy_(noise * (0.5 if parameter.shape[-1] <= 64 else 0.05))
    return model.eval()


class Outputs(torch.nn.Module):
    def __init__(self, model, outputs, inputs):
        super().__init__()
        self.model, self.outputs, self.inputs = model, outputs, inputs

    def forward(self, *arguments):
        result = self.model(**dict(zip(self.inputs, arguments)))
        return tuple(result[name] for name in self.outputs) if len(self.outputs) > 1 else result[self.outputs[0]]


class Folder:
    def __init__(self, path, shapes, vocabulary, seed=7):
        self.path = path
        generator = numpy.random.default_rng(seed)
        self.batches = []
        for batch, length, padded in shapes:
            ids = generator.integers(1, vocabulary, (batch, length))
            mask = numpy.ones_like(ids)
            if padded:
                for row in range(1, batch):
                    mask[row, int(length * (1 - row / (batch + 1))):] = 0
                ids = numpy.where(mask == 1, ids, 0)
            types = (numpy.arange(length)[None, :] >= length // 2).astype(numpy.int64).repeat(batch, 0) * mask
            self.batches.append({"input_ids": ids, "attention_mask": mask, "token_type_ids": types})

    def file(self, name):
        return os.path.join(self.path, name + ".onnx")

    def expect(self, name, path=None, batches=None, level=None):
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        if level is not None:
            options.graph_optimization_level = level
        session = onnxruntime.InferenceSession(path or self.file(name), options, providers=["CPUExecutionProvider"])
        names = [value.name for value in session.get_inputs()]
        cases = []
        for batch in batches or self.batches:
            outputs = session.run(None, {key: batch[key].astype(numpy.int64) for key in names if key in batch})
            kept = batch["attention_mask"] == 1
            case = {key: value.tolist() for key, value in batch.items() if key in names or key == "attention_mask"}
            for value, array in zip(session.get_outputs(), outputs):
                if array.ndim >= 2 and array.shape[:2] == kept.shape:
                    case[value.name] = [float(f"{x:.8g}") for x in array[kept].reshape(-1)]
            cases.append(case)
        with open(os.path.join(self.path, name + ".json"), "w") as file:
            json.dump(cases, file, separators=(",", ":"))
        print(f"{name}: {os.path.getsize(path or self.file(name))} bytes")

    def export(self, name, model, opset, dynamo=False, outputs=SPANS, names=None, inputs=INPUTS, fixed=None, fold=True,
               axes=("batch", "sequence")):
        torch.manual_seed(0)
        if fixed:
            example = torch.ones(fixed, dtype=torch.long)
        else:
            example = torch.ones((2, 9), dtype=torch.long)
        names = names or outputs
        wrapped = Outputs(model, outputs, inputs).eval()
        # Each input a tensor of its own: the dynamo exporter takes one tensor given twice for one input.
        arguments = tuple(torch.zeros_like(example) if "type" in key else example.clone() for key in inputs)
        if dynamo:
            dynamic = None
            if not fixed:
                batch, sequence = (torch.export.Dim(axes[0], min=1, max=4096),
                                   torch.export.Dim(axes[1], min=2, max=model.config.max_position_embeddings))
                dynamic = ({0: batch, 1: sequence},) * len(inputs)
                dynamic = {"arguments": dynamic}
            torch.onnx.export(wrapped, arguments, self.file(name), dynamo=True, opset_version=opset, external_data=False,
                              input_names=inputs, output_names=names, dynamic_shapes=dynamic, verbose=False)
        else:
            dynamic = None if fixed else {key: {0: axes[0], 1: axes[1]} for key in inputs + names}
            torch.onnx.export(wrapped, arguments, self.file(name), dynamo=False, opset_version=opset, input_names=inputs,
                              output_names=names, dynamic_axes=dynamic, do_constant_folding=fold)
        strip(self.file(name))


def strip(path):
    """Leaves out what only grows the file: documentation, and the metadata of nodes."""
    model = onnx.load(path)
    for node in model.graph.node:
        node.doc_string = ""
        del node.metadata_props[:]
    del model.graph.value_info[:]
    onnx.save(model, path)


def distilbert(kind=DistilBertForQuestionAnswering, attention="eager", **sizes):
    return randomised(kind(DistilBertConfig(attn_implementation=attention, **sizes)))


def base(path):
    folder = Folder(path, [(1, 7, False), (1, 384, False), (3, 129, False), (8, 384, True)], 30522)
    for attention in ["eager", "sdpa"]:
        for opset in [11, 14, 17]:
            if attention == "sdpa" and opset == 11:
                continue
            name = f"legacy{opset}-{attention}"
            folder.export(name, distilbert(attention=attention), opset)
            folder.expect(name)
        name = f"dynamo18-{attention}"
        folder.export(name, distilbert(attention=attention), 18, dynamo=True)
        folder.expect(name)


def mini(source, path):
    from tokenizers import Tokenizer
    tokenizer = Tokenizer.from_file(os.path.join(source, "tokenizer.json"))
    tokenizer.no_truncation()
    tokenizer.enable_padding()
    encodings = tokenizer.encode_batch([
        ("Where do the engineers test the bridge?", "The bridge was tested in Hamburg by two engineers."),
        ("Who wrote the report?", "The report on the flood of 1962 was written by Anna Weber, then minister of the city; "
         "her office took two years to finish it."),
        ("When did the library open?", "After a fire in 1894 the library opened again on 3 May 1901.")])
    folder = Folder(path, [], 30522)
    folder.batches = [{"input_ids": numpy.array([e.ids for e in encodings]),
                       "attention_mask": numpy.array([e.attention_mask for e in encodings])}]
    for name in ["model", "model_quantized"]:
        folder.expect("mini-" + name, path=os.path.join(source, "onnx", name + ".onnx"))


TINY = dict(vocab_size=60, max_position_embeddings=40, dim=16, hidden_dim=24, n_heads=2, n_layers=2)


def tiny(path):
    folder = Folder(path, [(1, 7, False), (3, 12, True)], 60)
    for opset, attention in [(11, "eager"), (12, "eager"), (13, "eager"), (14, "sdpa"), (17, "eager"), (17, "sdpa"),
                             (20, "sdpa")]:
        name = f"legacy{opset}-{attention}"
        folder.export(name, distilbert(attention=attention, **TINY), opset)
        folder.expect(name)
    for opset, attention in [(18, "eager"), (18, "sdpa"), (20, "eager"), (23, "sdpa")]:
        name = f"dynamo{opset}-{attention}"
        folder.export(name, distilbert(attention=attention, **TINY), opset, dynamo=True)
        folder.expect(name)
    optimised(folder, "legacy17-sdpa")
    sizes = dict(vocab_size=60, max_position_embeddings=40, hidden_size=16, intermediate_size=24, num_attention_heads=2,
                 num_hidden_layers=2)
    bert = randomised(BertForQuestionAnswering(BertConfig(attn_implementation="sdpa", **sizes)))
    folder.export("bert14-sdpa", bert, 14, inputs=INPUTS + ["token_type_ids"])
    folder.expect("bert14-sdpa")
    folder.export("bertnotypes14-sdpa", bert, 14)
    folder.expect("bertnotypes14-sdpa")
    folder.export("hidden17", distilbert(DistilBertModel, **TINY), 17, outputs=["last_hidden_state"])
    folder.expect("hidden17")
    folder.export("tanh14", distilbert(activation="gelu_new", **TINY), 14)
    folder.expect("tanh14")
    folder.batches = [batch for batch in Folder(path, [(2, 9, True)], 60).batches]
    folder.export("fixeddyn18-sdpa", distilbert(attention="sdpa", **TINY), 18, dynamo=True, fixed=(2, 9))
    folder.expect("fixeddyn18-sdpa")


def optimised(folder, source):
    """ONNX Runtime's extended optimisations of an export."""
    name = "ort-extended-" + source
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
    options.optimized_model_filepath = folder.file(name)
    options.log_severity_level = 3
    onnxruntime.InferenceSession(folder.file(source), options, providers=["CPUExecutionProvider"])
    folder.expect(name)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--size", choices=["tiny", "base"], default="tiny")
    parser.add_argument("--output", default=here)
    parser.add_argument("--mini")
    options = parser.parse_args()
    os.makedirs(options.output, exist_ok=True)
    if options.mini:
        mini(options.mini, options.output)
    elif options.size == "base":
        base(options.output)
    else:
        tiny(options.output)
