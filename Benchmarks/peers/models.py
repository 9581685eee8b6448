"""The models that the comparisons run: DistilBERT-base with random weights, exported in several forms, in float32 and in each engine's own
int8. What is there already is not made again.

    python models.py FOLDER

Made with torch 2.13.0, transformers 4.57.6, onnx 1.23.2, onnxruntime 1.32.0, openvino 2026.4.1, nncf 3.4.0, ctranslate2 4.8.5.
"""
import os
import pathlib
import shutil
import sys
import tempfile

INPUTS = ["input_ids", "attention_mask"]
OUTPUTS = ["start_logits", "end_logits"]

# A form's file: by whom and how it was made. An engine runs the one that is fastest in it (see engines.forms).
FLOAT32 = {
    "eager": "float32.onnx",
    "sdpa": "float32-sdpa.onnx",
    "dynamo": "float32-dynamo.onnx",
    "fused": "float32-fused.onnx",
}
ONNXRUNTIME_INT8 = {"eager": "onnxruntime-int8.onnx", "fused": "onnxruntime-fused-int8.onnx"}
OPENVINO_INT8 = {"eager": "openvino-int8.xml"}


def torch_model(attention="sdpa"):
    import torch
    from transformers import DistilBertConfig, DistilBertForQuestionAnswering

    torch.manual_seed(1)
    return DistilBertForQuestionAnswering(DistilBertConfig(attn_implementation=attention)).eval()


def export(path, attention, dynamo=False):
    import torch

    ids = torch.randint(0, 30000, (2, 8))
    arguments = {"input_names": INPUTS, "output_names": OUTPUTS}
    if dynamo:
        batch, tokens = torch.export.Dim("batch", min=1, max=4096), torch.export.Dim("tokens", min=2, max=512)
        arguments |= {"dynamo": True, "external_data": False, "dynamic_shapes": ({0: batch, 1: tokens}, {0: batch, 1: tokens})}
    else:
        arguments |= {"dynamo": False, "opset_version": 17,
                      "dynamic_axes": {name: {0: "batch", 1: "tokens"} for name in INPUTS + OUTPUTS}}
    torch.onnx.export(torch_model(attention), (ids, torch.ones_like(ids)), str(path), **arguments)


def fuse(source, path, heads=12, hidden=768):
    """ONNX Runtime's own fusions for transformers (attention, layer norms, GELU), done ahead."""
    from onnxruntime.transformers import optimizer

    optimizer.optimize_model(str(source), "bert", num_heads=heads, hidden_size=hidden, opt_level=1).save_model_to_file(str(path))


def quantize_onnxruntime(source, path):
    from onnxruntime.quantization import QuantType, quantize_dynamic

    # The type of what fused operators produce, which the quantiser cannot infer.
    quantize_dynamic(str(source), str(path), weight_type=QuantType.QInt8, extra_options={"DefaultTensorType": 1})


def quantize_openvino(source, path):
    """Post-training quantisation for transformers; the file's weights lie in a .bin beside it."""
    import nncf
    import numpy
    import openvino

    def feed(seed):
        tokens = numpy.random.RandomState(seed).randint(0, 30000, (1, 128))
        return dict(zip(INPUTS, [tokens, numpy.ones_like(tokens)]))

    model = nncf.quantize(
        openvino.Core().read_model(str(source)), nncf.Dataset(range(16), feed), model_type=nncf.ModelType.TRANSFORMER,
        preset=nncf.QuantizationPreset.MIXED, subset_size=16)
    openvino.save_model(model, str(path), compress_to_fp16=False)


def convert_ctranslate2(path):
    import ctranslate2
    from transformers import BertTokenizerFast

    with tempfile.TemporaryDirectory() as source:
        torch_model().distilbert.save_pretrained(source)
        words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"] + [f"t{i}" for i in range(30517)]
        pathlib.Path(source, "vocab.txt").write_text("\n".join(words))
        BertTokenizerFast(f"{source}/vocab.txt").save_pretrained(source)
        ctranslate2.converters.TransformersConverter(source).convert(str(path))


def make(folder):
    folder.mkdir(parents=True, exist_ok=True)

    def once(name, write):
        if (folder / name).exists():
            return
        print(f"making {folder / name}", file=sys.stderr)
        with tempfile.TemporaryDirectory(dir=folder) as scratch:
            write(pathlib.Path(scratch) / name)
            # The named file last: where it is, the others are too.
            for part in sorted(pathlib.Path(scratch).iterdir(), key=lambda part: part.name == name):
                os.replace(part, folder / part.name)

    once(FLOAT32["eager"], lambda path: export(path, "eager"))
    once(FLOAT32["sdpa"], lambda path: export(path, "sdpa"))
    once(FLOAT32["dynamo"], lambda path: export(path, "sdpa", dynamo=True))
    once(FLOAT32["fused"], lambda path: fuse(folder / FLOAT32["eager"], path))
    once(ONNXRUNTIME_INT8["eager"], lambda path: quantize_onnxruntime(folder / FLOAT32["eager"], path))
    once(ONNXRUNTIME_INT8["fused"], lambda path: quantize_onnxruntime(folder / FLOAT32["fused"], path))
    once(OPENVINO_INT8["eager"], lambda path: quantize_openvino(folder / FLOAT32["eager"], path))
    once("ctranslate2", convert_ctranslate2)


def make_folder(models, onnx, tokenizer, target):
    """A folder as the hub lays it out: one of the models with the files of a tokeniser."""
    target.mkdir(parents=True, exist_ok=True)
    for name in ["tokenizer.json", "tokenizer_config.json", "vocab.txt"]:
        shutil.copyfile(tokenizer / name, target / name)
    (target / "model.onnx").unlink(missing_ok=True)
    os.link(models / onnx, target / "model.onnx")


if __name__ == "__main__":
    make(pathlib.Path(sys.argv[1]))
