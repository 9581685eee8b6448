"""Makes the golden models and what they hold, as JSON beside them.

Made with Python 3.11, onnx 1.23.2, numpy 2.4.6, ml_dtypes 0.6.0.
Run in this folder: python make_models.py
"""

import json
import struct

import ml_dtypes
import numpy as np
import onnx
from onnx import TensorProto as T
from onnx import helper as h
from onnx import inliner, numpy_helper

FLOATING = {T.FLOAT: "float", T.FLOAT16: "float16", T.BFLOAT16: "bfloat16", T.DOUBLE: "double"}
INTEGER = {
    T.UINT8: "uint8", T.INT8: "int8", T.UINT16: "uint16", T.INT16: "int16", T.INT32: "int32", T.INT64: "int64",
    T.BOOL: "bool", T.UINT32: "uint32", T.UINT64: "uint64", T.UINT4: "uint4", T.INT4: "int4",
}
NAMES = FLOATING | INTEGER | {T.STRING: "string"}


def float_bits(value):
    return struct.unpack("<I", struct.pack("<f", value))[0]


def describe_tensor(tensor):
    array = numpy_helper.to_array(tensor, base_dir=".")
    result = {"name": tensor.name, "type": NAMES[tensor.data_type], "shape": list(tensor.dims)}
    if tensor.data_type in FLOATING:
        with np.errstate(over="ignore"):
            result["floatBits"] = [float_bits(np.float32(x)) for x in array.astype(np.float32).reshape(-1)]
    elif tensor.data_type in INTEGER:
        result["ints"] = [str(int(x)) for x in array.reshape(-1)]
    else:
        result["strings"] = [x if isinstance(x, str) else x.decode() for x in array.reshape(-1)]
    return result


def describe_attribute(a):
    kind = onnx.AttributeProto.AttributeType.Name(a.type)
    value = h.get_attribute_value(a)
    match kind:
        case "INT":
            return {"int": value}
        case "FLOAT":
            return {"float": float_bits(value)}
        case "STRING":
            return {"string": value.decode()}
        case "TENSOR":
            return {"tensor": describe_tensor(value)}
        case "GRAPH":
            return {"graph": describe_graph(value)}
        case "INTS":
            return {"ints": list(value)}
        case "FLOATS":
            return {"floats": [float_bits(x) for x in value]}
        case "STRINGS":
            return {"strings": [x.decode() for x in value]}
        case "TENSORS":
            return {"tensors": [describe_tensor(x) for x in value]}
        case "GRAPHS":
            return {"graphs": [describe_graph(x) for x in value]}


def describe_value(info):
    result = {"name": info.name}
    if info.type.HasField("tensor_type"):
        tensor = info.type.tensor_type
        result["type"] = NAMES[tensor.elem_type]
        if tensor.HasField("shape"):
            dims = []
            for d in tensor.shape.dim:
                if d.HasField("dim_param"):
                    dims.append(d.dim_param)
                else:
                    dims.append(str(d.dim_value) if d.HasField("dim_value") and d.dim_value >= 0 else "?")
            result["shape"] = dims
    return result


def describe_graph(graph):
    initializers = {t.name for t in graph.initializer}
    return {
        "name": graph.name,
        "inputs": [describe_value(v) for v in graph.input if v.name not in initializers],
        "outputs": [describe_value(v) for v in graph.output],
        "valueInfos": [describe_value(v) for v in sorted(graph.value_info, key=lambda v: v.name)],
        "initializers": [describe_tensor(t) for t in sorted(graph.initializer, key=lambda t: t.name)],
        "nodes": [
            {
                "name": n.name,
                "operatorType": n.op_type,
                "domain": "" if n.domain == "ai.onnx" else n.domain,
                "inputs": list(n.input),
                "outputs": list(n.output),
                "attributes": {a.name: describe_attribute(a) for a in n.attribute},
            }
            for n in graph.node
        ],
    }


def save(name, model, expected=None, check=True, renamed=False):
    """Writes a model and its description, which is that of `expected` where reading changes the model."""
    if check:
        onnx.checker.check_model(model)
    with open(f"{name}.onnx", "wb") as f:
        f.write(model.SerializeToString(deterministic=True))
    shown = expected or model
    description = {
        "irVersion": model.ir_version,
        "producerName": model.producer_name,
        "producerVersion": model.producer_version,
        "opsetImports": {("" if o.domain == "ai.onnx" else o.domain): o.version for o in shown.opset_import},
        "metadata": {e.key: e.value for e in model.metadata_props},
        # Whether the names of the values inside and of the nodes are free to differ.
        "renamed": renamed,
        "graph": describe_graph(shown.graph),
    }
    with open(f"{name}.json", "w") as f:
        json.dump(description, f, indent=1, sort_keys=True)
        f.write("\n")


def model_of(nodes, inputs, outputs, initializers=(), opsets=(("", 17),), ir=8, value_info=(), name="main", **more):
    graph = h.make_graph(list(nodes), name, list(inputs), list(outputs), list(initializers), value_info=list(value_info))
    imports = [h.make_opsetid(d, v) for d, v in opsets]
    return h.make_model(graph, opset_imports=imports, ir_version=ir, producer_name="make_models", **more)


def value(name, shape=("n",), kind=T.FLOAT):
    return h.make_tensor_value_info(name, kind, shape)


def identity():
    return h.make_node("Identity", ["x"], ["y"], name="copy")


ARRAYS = {
    "float": np.array([[0.0, -0.0, 1.5], [np.inf, -3.25e-39, np.float32(1) / 3]], np.float32),
    "float16": np.array([0.0, -1.0, 65504.0, 6e-8, 6.1e-5, np.inf, 1 / 3], np.float16),
    "bfloat16": np.array([0.0, -2.5, 3e38, 1e-40, -np.inf], ml_dtypes.bfloat16),
    "double": np.array([1.0, -1e300, 1 / 3, 5e-324], np.float64),
    "int8": np.array([-128, -1, 0, 127], np.int8),
    "uint8": np.array([0, 1, 128, 255], np.uint8),
    "int16": np.array([-32768, -1, 32767], np.int16),
    "uint16": np.array([0, 32768, 65535], np.uint16),
    "int32": np.array([-(2**31), -1, 2**31 - 1], np.int32),
    "int64": np.array([-(2**63), -1, 2**63 - 1], np.int64),
    "uint32": np.array([0, 2**31, 2**32 - 1], np.uint32),
    "uint64": np.array([0, 2**63 - 1], np.uint64),
    "bool": np.array([True, False, True], np.bool_),
    "int4": np.array([-8, -1, 0, 1, 7], ml_dtypes.int4),
    "uint4": np.array([0, 1, 8, 15], ml_dtypes.uint4),
}


def types():
    raw = [numpy_helper.from_array(a, n) for n, a in ARRAYS.items()]
    raw.append(numpy_helper.from_array(np.array(7, np.int64), "scalar"))
    raw.append(numpy_helper.from_array(np.zeros((2, 0, 3), np.float32), "empty"))
    save("types_raw", model_of([identity()], [value("x")], [value("y")], raw, ir=10, opsets=(("", 21),)))

    typed = []
    for n, a in ARRAYS.items():
        kind = {v: k for k, v in NAMES.items()}[n]
        typed.append(h.make_tensor(n, kind, a.shape, a.reshape(-1)))
    typed.append(h.make_tensor("string", T.STRING, [2, 2], ["", "a", "größe", "\U0001f600\n"]))
    typed.append(h.make_tensor("empty", T.INT64, [0], []))
    assert not any(t.HasField("raw_data") for t in typed)
    save("types_typed", model_of([identity()], [value("x")], [value("y")], typed, ir=10, opsets=(("", 21),)))


def attributes():
    branch = h.make_graph(
        [h.make_node("Neg", ["outside"], ["inside"])], "branch", [], [h.make_tensor_value_info("inside", T.FLOAT, None)])
    other = h.make_graph(
        [h.make_node("Identity", ["weight"], ["here"])], "other", [], [h.make_tensor_value_info("here", T.FLOAT, None)],
        [numpy_helper.from_array(np.array([2, 3], np.float32), "weight")])
    node = h.make_node(
        "Everything", ["x", "", "flag"], ["y", "", "z"], name="all", domain="com.microsoft", an_int=-(2**63), a_float=0.1,
        a_string="größe", a_tensor=numpy_helper.from_array(np.array([[1, 2]], np.int32), "t"), some_ints=[1, -1, 2**40],
        some_floats=[0.5, -1e-30], some_strings=["", "b"], some_tensors=[numpy_helper.from_array(np.float16([1, 2]))],
        a_graph=branch, some_graphs=[other, branch])
    nodes = [h.make_node("Abs", ["x"], ["outside"]), node]
    inputs = [value("x", ["batch", 4, None]), value("flag", [], T.BOOL)]
    outputs = [value("y", None), h.make_tensor_value_info("z", T.INT64, ["batch", 0])]
    model = model_of(
        nodes, inputs, outputs, opsets=(("ai.onnx", 17), ("com.microsoft", 1)), value_info=[value("outside", ["batch"])],
        producer_version="3.1")
    h.set_model_props(model, {"author": "nobody", "größe": "groß"})
    save("attributes", model, check=False)


def order():
    nodes = [
        h.make_node("Add", ["b", "c"], ["y"], name="last"),
        h.make_node("Neg", ["a"], ["b"], name="middle"),
        h.make_node("Abs", ["x"], ["a"], name="first"),
        h.make_node("Exp", ["a"], ["c"], name="other"),
    ]
    sorted_nodes = [nodes[2], nodes[1], nodes[3], nodes[0]]
    ends = ([value("x")], [value("y")])
    save("unsorted", model_of(nodes, *ends), model_of(sorted_nodes, *ends), check=False)


def old_initializers():
    weight = numpy_helper.from_array(np.array([1, 2], np.float32), "w")
    nodes = [h.make_node("Add", ["x", "w"], ["y"])]
    save("ir3", model_of(nodes, [value("x", [-1]), value("w", [2])], [value("y", ["n"])], [weight], ir=3, opsets=(("", 7),)))


def branches():
    def branch(name, operator):
        return h.make_graph(
            [h.make_node(operator, ["late"], [f"{name}_out"])], name, [],
            [h.make_tensor_value_info(f"{name}_out", T.FLOAT, None)])
    choose = h.make_node("If", ["flag"], ["y"], then_branch=branch("then", "Neg"), else_branch=branch("else", "Abs"))
    late = h.make_node("Exp", ["x"], ["late"])
    ends = ([value("x"), value("flag", [], T.BOOL)], [value("y")])
    save("captured", model_of([choose, late], *ends), model_of([late, choose], *ends), check=False)


def functions():
    def ref(node, name, source, kind):
        attribute = onnx.AttributeProto(name=name, ref_attr_name=source, type=kind)
        node.attribute.append(attribute)
        return node

    cast = ref(h.make_node("Cast", ["sum"], ["out"]), "to", "kind", onnx.AttributeProto.INT)
    bias = h.make_node("Constant", [], ["bias"], value=numpy_helper.from_array(np.array([1.5], np.float32), "b"))
    inner = h.make_function(
        "local.functions", "AddCast", ["in"], ["out"], [bias, h.make_node("Add", ["in", "bias"], ["sum"]), cast],
        [h.make_opsetid("", 17)], ["kind"])
    softmax = ref(h.make_node("Softmax", ["half"], ["soft"]), "axis", "axis", onnx.AttributeProto.INT)
    call = ref(h.make_node("AddCast", ["soft"], ["result"], domain="local.functions"), "kind", "kind", onnx.AttributeProto.INT)
    clip = h.make_node("Clip", ["in", "", "top"], ["half"])
    outer = h.make_function(
        "local.functions", "Outer", ["in", "top"], ["result"], [clip, softmax, call],
        [h.make_opsetid("", 17), h.make_opsetid("local.functions", 1)], ["kind"],
        [h.make_attribute("axis", 1)])
    nodes = [
        h.make_node("Outer", ["x"], ["a"], domain="local.functions", kind=T.FLOAT),
        h.make_node("Outer", ["a", "limit"], ["b"], domain="local.functions", kind=T.DOUBLE, axis=-1),
        h.make_node("Neg", ["b"], ["y"]),
    ]
    model = model_of(
        nodes, [value("x", [2, "n"]), value("limit", [])], [value("y", [2, "n"], T.DOUBLE)],
        opsets=(("", 17), ("local.functions", 1)), functions=[inner, outer])
    onnx.checker.check_model(model)
    expected = inliner.inline_local_functions(model)
    # The inliner of this version drops the functions' default attributes.
    softmaxes = [n for n in expected.graph.node if n.op_type == "Softmax"]
    softmaxes[0].attribute.append(h.make_attribute("axis", 1))
    del expected.opset_import[:]
    expected.opset_import.extend(model.opset_import)
    save("functions", model, expected, renamed=True)


def external():
    first = np.arange(6, dtype=np.float32).reshape(2, 3)
    second = np.array([7, -7], np.int64)
    with open("external.bin", "wb") as f:
        f.write(b"skip" + first.tobytes() + second.tobytes())

    def outside(name, array, kind, **where):
        tensor = T(name=name, data_type=kind, dims=array.shape, data_location=T.EXTERNAL)
        for key, text in where.items():
            tensor.external_data.add(key=key, value=str(text))
        return tensor

    tensors = [
        outside("first", first, T.FLOAT, location="external.bin", offset=4, length=24),
        outside("second", second, T.INT64, location="external.bin", offset=28),
    ]
    save("external", model_of([identity()], [value("x")], [value("y")], tensors), check=False)


types()
attributes()
order()
old_initializers()
branches()
functions()
external()
