"""Calls of every operator that the interpreter implements, with the outputs of ONNX Runtime.

    python make_operators.py        writes operators.json beside this script

Each case is a model of one node, its inputs and the outputs expected. Graph optimisation is off, so that it is the operator
itself that is run. Types that ONNX Runtime does not take are left out and listed.

Made with onnx 1.23.2, onnxruntime 1.32.0, numpy 2.x.
"""
import base64
import collections
import json
import os

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

rng = np.random.default_rng(11)
cases, refused, counts = [], [], collections.Counter()
MICROSOFT = "com.microsoft"
FLOATS = [np.float32, np.float64, np.float16]
INTEGERS = [np.int32, np.int64, np.int8, np.uint8, np.int16, np.uint16, np.uint32, np.uint64]
NUMBERS = FLOATS + INTEGERS
NAN, INF = np.nan, np.inf


def tensor(array):
    array = np.asarray(array)
    # The data as bytes, and the type's number in ONNX.
    return [helper.np_dtype_to_tensor_dtype(array.dtype), list(array.shape),
            base64.b64encode(np.ascontiguousarray(array).tobytes()).decode()]


def case(operator, *inputs, opset=17, domain="", outputs=1, terms=1, constants=(), level="disable", **attributes):
    """One call; an input that is None is left out, those whose positions are in `constants` are initialisers.

    `node_opset` is the attribute `opset`, which some operators have.
    """
    if "node_opset" in attributes:
        attributes["opset"] = attributes.pop("node_opset")
    names = ["" if value is None else f"i{index}" for index, value in enumerate(inputs)]
    skipped = outputs if isinstance(outputs, list) else [True] * outputs
    results = [f"o{index}" if wanted else "" for index, wanted in enumerate(skipped)]
    node = helper.make_node(operator, names, results, domain=domain, name=f"the {operator}", **attributes)
    infos, initializers, feeds = [], [], {}
    for index, (name, value) in enumerate(zip(names, inputs)):
        if value is None:
            continue
        if isinstance(value, TensorProto):
            value.name = name
            initializers.append(value)
        elif index in constants:
            initializers.append(numpy_helper.from_array(np.asarray(value), name))
        else:
            value = np.asarray(value)
            infos.append(helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(value.dtype), value.shape))
            feeds[name] = value
    graph = helper.make_graph([node], "g", infos, [helper.make_empty_tensor_value_info(r) for r in results if r], initializers)
    imports = [helper.make_opsetid("", opset)] + ([helper.make_opsetid(domain, 1)] if domain else [])
    model = helper.make_model(graph, opset_imports=imports, ir_version=10 if opset < 24 else 11)
    kinds = "/".join(str(np.asarray(v).dtype) if not isinstance(v, TensorProto) else "packed"
                     for v in inputs if v is not None)
    title = f"{domain + '.' if domain else ''}{operator}-{opset} {kinds}"
    try:
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 4
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
        session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
        expected = session.run(None, feeds)
    except Exception as error:
        refused.append(f"{title}: {str(error).splitlines()[0][:150]}")
        return
    counts[operator] += 1
    cases.append({"name": title, "operator": (domain + "." if domain else "") + operator,
                  "model": base64.b64encode(model.SerializeToString()).decode(), "terms": terms,
                  "inputs": {name: tensor(value) for name, value in feeds.items()},
                  "outputs": {name: tensor(value) for name, value in zip([r for r in results if r], expected)}})


def numbers(dtype, *shape, low=None, high=None):
    if np.issubdtype(dtype, np.floating):
        return rng.normal(size=shape).astype(dtype)
    low = (0 if np.issubdtype(dtype, np.unsignedinteger) else -9) if low is None else low
    return rng.integers(low, 10 if high is None else high, shape).astype(dtype)


SHAPES = [((2, 3), (2, 3)), ((2, 1, 3), (4, 1)), ((), (3,)), ((0, 3), (1, 3)), ((2, 0), (2, 0)), ((), ())]


def arithmetic():
    for dtype in NUMBERS:
        for left, right in SHAPES:
            for operator in ["Add", "Sub", "Mul", "Min", "Max"]:
                case(operator, numbers(dtype, *left), numbers(dtype, *right), opset=14)
            divisor = numbers(dtype, *right, low=1)
            case("Div", numbers(dtype, *left), divisor, opset=14)
            case("Mod", numbers(dtype, *left), divisor, opset=13, fmod=int(np.issubdtype(dtype, np.floating)))
            case("Pow", np.abs(numbers(dtype, *left)) if np.issubdtype(dtype, np.floating) else numbers(dtype, *left),
                 numbers(dtype, *right, low=0, high=4), opset=15)
    for exponent in [np.float32(2), np.int64(3), np.float64(0.5), np.int32(2)]:
        case("Pow", np.array([1, 2.5, 4], np.float32), exponent, opset=15)
        case("Pow", np.array([1, 2, 4], np.int64), exponent, opset=15)
    signs = np.array([-7, -6, 7, 6], np.int64)
    for fmod in [0, 1]:
        case("Mod", signs, np.array([4, -4, -4, 4], np.int64), opset=13, fmod=fmod)
    case("Div", np.array([-7, 7, -7], np.int64), np.array([2, -2, -2], np.int64))
    special = np.array([NAN, 1, INF, -INF, 0, -0.0], np.float32)
    for operator in ["Add", "Mul", "Div", "Min", "Max"]:
        case(operator, special, np.array([1, NAN, -INF, 2, 0, 0], np.float32))
    case("Add", np.array([127], np.int8), np.array([1], np.int8), opset=14)
    for operator in ["Min", "Max", "Sum", "Mean"]:
        case(operator, numbers(np.float32, 2, 3), numbers(np.float32, 3), numbers(np.float32, 1, 1))
        case(operator, numbers(np.float32, 3))
    for opset in [7, 8, 12, 13, 14, 20, 22]:
        case("Add", numbers(np.float32, 2, 3), numbers(np.float32, 3), opset=opset)
        case("Mul", numbers(np.int64, 2, 3), numbers(np.int64, 1), opset=opset)


def comparison():
    for operator, opset in [("Equal", 13), ("Greater", 13), ("Less", 13), ("GreaterOrEqual", 16), ("LessOrEqual", 16)]:
        for dtype in NUMBERS + ([np.bool_] if operator == "Equal" else []):
            for left, right in SHAPES:
                case(operator, numbers(dtype, *left, low=0, high=2), numbers(dtype, *right, low=0, high=2), opset=opset)
        case(operator, np.array([NAN, 1, INF], np.float32), np.array([NAN, NAN, INF], np.float32), opset=opset)
    for operator in ["And", "Or", "Xor"]:
        for left, right in SHAPES:
            case(operator, numbers(np.int8, *left, low=0, high=2) == 1, numbers(np.int8, *right, low=0, high=2) == 1)
    for shape in [(3,), (), (0,), (2, 2)]:
        case("Not", numbers(np.int8, *shape, low=0, high=2) == 1)
    for dtype in FLOATS:
        special = np.array([NAN, 1, INF, -INF, 0], dtype)
        case("IsNaN", special, opset=13)
        case("IsInf", special, opset=20)
        case("IsInf", special, opset=20, detect_negative=0)
        case("IsInf", special, opset=10, detect_positive=0)


def functions():
    simple = ["Sqrt", "Reciprocal", "Neg", "Abs", "Sign", "Exp", "Log", "Erf", "Tanh", "Sigmoid", "Relu", "Ceil", "Floor",
              "Round", "Sin", "Cos", "Softplus", "LeakyRelu"]
    for operator in simple:
        for dtype in NUMBERS:
            for shape in [(2, 5), (), (0, 3)]:
                value = numbers(dtype, *shape)
                case(operator, np.abs(value) if operator in ["Sqrt", "Log"] else value, opset=16)
        case(operator, np.array([NAN, INF, -INF, 0, -0.0, 0.5, 1.5, 2.5, -2.5, 30, -30], np.float32), opset=16)
    for dtype in FLOATS:
        for shape in [(3, 40), (), (0,)]:
            for approximate in ["none", "tanh"]:
                case("Gelu", 3 * numbers(dtype, *shape), opset=20, approximate=approximate)
            case("Gelu", 3 * numbers(dtype, *shape), domain=MICROSOFT)
    for dtype in NUMBERS:
        value = numbers(dtype, 3, 4)
        low, high = np.array(1, dtype), np.array(3, dtype)
        case("Clip", value, low, high, opset=13)
        case("Clip", value, None, high, opset=13)
        case("Clip", value, low, opset=13)
        case("Clip", value, opset=13)
        case("Clip", value, high, low, opset=13)
    case("Clip", np.array([NAN, INF, -1], np.float32), np.float32(0), np.float32(2), opset=11)
    case("Clip", numbers(np.float32, 0, 2), np.float32(0), np.float32(2), opset=11)
    case("Clip", numbers(np.float32, 3, 4), opset=7, min=-0.5, max=0.25)
    case("Clip", numbers(np.float32, 3, 4), opset=10, max=0.25)


def casting():
    types = NUMBERS + [np.bool_]
    for source in types:
        for target in types:
            value = np.array([0, 1, 2.5, 3.75, 100] + ([-1.5] if np.issubdtype(target, np.signedinteger)
                             or np.issubdtype(target, np.floating) else [])).astype(source)
            case("Cast", value, opset=13, to=helper.np_dtype_to_tensor_dtype(np.dtype(target)))
    case("Cast", np.array([300, -129, 70000], np.int32), opset=13, to=TensorProto.INT8)
    case("Cast", np.array([65519, 65520, 1e-8, 6.1e-5, 3e-6, NAN, INF], np.float32), opset=13, to=TensorProto.FLOAT16)
    case("Cast", numbers(np.float32, 0, 3), opset=9, to=TensorProto.INT64)
    case("Cast", np.float32(2.9), opset=9, to=TensorProto.INT64)
    case("CastLike", numbers(np.float32, 3), np.array([1], np.int32), opset=19)
    for dtype in types:
        case("Identity", numbers(np.int8, 2, 3, low=0).astype(dtype), opset=16)
    case("Dropout", numbers(np.float32, 2, 3), opset=10, outputs=2, ratio=0.4)
    case("Dropout", numbers(np.float32, 2, 3), opset=7, ratio=0.4)
    case("Dropout", numbers(np.float32, 2, 3), np.float32(0.4), opset=13, outputs=2)
    case("Dropout", numbers(np.float32, 2, 3), np.float32(0.4), np.array(False), opset=13, outputs=2)


def constants():
    case("Constant", value=numpy_helper.from_array(numbers(np.float16, 2, 3)))
    case("Constant", value_float=1.5)
    case("Constant", value_floats=[1.5, 2])
    case("Constant", value_int=7)
    case("Constant", value_ints=[7, 8])
    for dtype in NUMBERS + [np.bool_]:
        for shape in [[2, 3], [], [0, 2]]:
            case("ConstantOfShape", np.array(shape, np.int64), value=numpy_helper.from_array(np.array([1], dtype)), opset=9)
    case("ConstantOfShape", np.array([3], np.int64), opset=20)
    for shape in [(2, 3, 4), (), (0, 5)]:
        for dtype in [np.float32, np.int64, np.bool_]:
            case("Shape", np.zeros(shape, dtype), opset=13)
            case("Size", np.zeros(shape, dtype), opset=13)
    for start, end in [(0, 2), (1, None), (-1, None), (0, -1), (2, 1), (-9, 9)]:
        case("Shape", np.zeros((2, 3, 4), np.float32), opset=15, start=start, **({} if end is None else {"end": end}))
    for dtype in [np.float32, np.float64, np.int16, np.int32, np.int64]:
        for start, limit, delta in [(0, 5, 1), (3, -4, -2), (5, 5, 1), (5, 0, 1)]:
            case("Range", np.array(start, dtype), np.array(limit, dtype), np.array(delta, dtype), opset=11)
    case("Range", np.float32(0.5), np.float32(2.0), np.float32(0.1), opset=11)
    case("EyeLike", np.zeros((3, 4), np.float32), opset=9, k=1)
    case("EyeLike", np.zeros((3, 4), np.float32), opset=9, k=-1, dtype=TensorProto.INT64)


def layout():
    integers = lambda *values: np.array(values, np.int64)
    for dtype in NUMBERS + [np.bool_]:
        value = numbers(np.int8, 2, 3, 4, low=0).astype(dtype)
        case("Reshape", value, integers(4, -1), opset=14)
        case("Transpose", value, opset=13)
        case("Transpose", value, opset=13, perm=[1, 2, 0])
        case("Expand", value[:, :1], integers(2, 3, 4), opset=13)
        case("Concat", value, value[:, :1], opset=13, axis=-2)
        case("Split", value, integers(1, 2), opset=13, outputs=2, axis=1)
        case("Tile", value, integers(1, 2, 3), opset=13)
        case("Flatten", value, opset=13)
        case("Squeeze", value[:, :1], integers(1), opset=13)
        case("Unsqueeze", value, integers(0, -1), opset=13)
        case("Slice", value, integers(1), integers(3), integers(1), opset=13)
        case("Gather", value, integers(1, -1), opset=13, axis=1)
        case("Pad", value, integers(0, 1, 0, 1, 0, 2), np.array(1, dtype), opset=13)
        case("Where", value > 2, value, value[:1], opset=16)
        case("NonZero", value, opset=13)
        case("Trilu", value, opset=14)
    value = numbers(np.float32, 2, 3, 4)
    for shape in [(0, -1), (0, 0, 0), (-1,), (2, 0, -1), (24,), (2, 3, 2, 2)]:
        case("Reshape", value, integers(*shape), opset=13)
    case("Reshape", np.zeros((0, 3), np.float32), integers(3, 0), opset=14, allowzero=1)
    case("Reshape", np.zeros((0, 3), np.float32), integers(0, -1), opset=14)
    case("Reshape", np.float32(3), integers(1, 1), opset=7)
    case("Reshape", numbers(np.float32, 1), np.zeros(0, np.int64), opset=8)
    for axis in [0, 1, 2, 3, -1, -3]:
        case("Flatten", value, opset=11, axis=axis)
    case("Flatten", np.float32(1), opset=11, axis=0)
    case("Transpose", np.float32(1))
    case("Transpose", np.zeros((0, 3), np.float32))
    for opset in [7, 10, 11, 12]:
        case("Squeeze", value[:, :1], opset=opset, axes=[1])
        case("Squeeze", value[:, :1, :1], opset=opset)
        case("Unsqueeze", value, opset=opset, axes=[0, 4])
        case("Split", value, opset=opset, outputs=2, axis=1, split=[2, 1])
        case("Split", value, opset=opset, outputs=2, axis=2)
    case("Squeeze", value[:, :1, :1], opset=13)
    case("Squeeze", value[:, :1, :1], integers(-1), opset=21)
    case("Squeeze", numbers(np.float32, 1), opset=13)
    case("Unsqueeze", np.float32(1), integers(0), opset=13)
    case("Split", value, opset=13, outputs=2, axis=-1)
    case("Split", value, opset=18, outputs=2, axis=1, num_outputs=2)
    case("Split", value, opset=18, outputs=3, axis=-1, num_outputs=3)
    case("Split", value, integers(0, 3), opset=18, outputs=2, axis=1)
    case("Expand", numbers(np.float32, 3, 1), integers(2, 1, 4), opset=8)
    case("Expand", numbers(np.float32, 3, 1), integers(1), opset=8)
    case("Expand", np.float32(2), integers(2, 0), opset=8)
    case("Tile", value, integers(0, 1, 1), opset=13)
    case("Tile", np.zeros((0, 2), np.float32), integers(2, 2), opset=13)
    case("Concat", np.zeros((0, 2), np.float32), numbers(np.float32, 3, 2), opset=7, axis=0)
    case("Concat", numbers(np.float32, 3), numbers(np.float32, 1), numbers(np.float32, 0), axis=0)


def indexing():
    integers = lambda *values: np.array(values, np.int64)
    value = numbers(np.float32, 5, 4, 3)
    for starts, ends, axes, steps in [
            ([1], [-1], [0], [1]), ([-1], [-100], [0], [-1]), ([4, 0], [0, 4], [0, 1], [-2, 3]), ([0], [2 ** 63 - 1], [2], [2]),
            ([3], [1], [0], [1]), ([-100], [100], [1], [1]), ([2 ** 63 - 1], [-2 ** 63], [0], [-1]), ([1], [3], [-1], [1])]:
        case("Slice", value, integers(*starts), integers(*ends), integers(*axes), integers(*steps), opset=13)
        if steps == [1]:
            case("Slice", value, opset=9, starts=starts, ends=ends, axes=axes)
    case("Slice", value, integers(1, 1), integers(3, 2), opset=10)
    case("Slice", value, np.array([1], np.int32), np.array([3], np.int32), np.array([1], np.int32), opset=10)
    case("Slice", np.zeros((0, 2), np.float32), integers(0), integers(5), opset=10)
    for axis in [0, 1, -1]:
        for indices in [integers(0, -1), np.array(1), np.zeros((2, 0), np.int64), np.array([[0, 1], [2, -3]], np.int32)]:
            case("Gather", value, indices, opset=13, axis=axis)
        case("GatherElements", value, np.zeros((2, 3, 1), np.int64) - 1, opset=13, axis=axis)
        case("ScatterElements", value, np.zeros((2, 3, 1), np.int64) + 1, numbers(np.float32, 2, 3, 1), opset=16, axis=axis)
    case("Gather", np.zeros((3, 0), np.float32), integers(1, 2))
    case("GatherND", value, np.array([[0, 1], [4, -1]]), opset=13)
    case("GatherND", value, np.array([[[0]], [[4]]]), opset=13)
    case("GatherND", numbers(np.int64, 2, 3, 4), np.array([[1], [-1]]), opset=13, batch_dims=1)
    case("ScatterND", value, np.array([[0, 1], [4, -1]]), numbers(np.float32, 2, 3), opset=16)
    case("ScatterND", value, np.array([[0], [3]]), numbers(np.float32, 2, 4, 3), opset=11)
    for dtype in NUMBERS + [np.bool_]:
        for shapes in [((2, 3), (2, 3), ()), ((3,), (2, 1), (1,)), ((0,), (1,), (1,)), ((), (2,), (2, 2))]:
            condition, first, second = (numbers(np.int8, *shape, low=0, high=2) for shape in shapes)
            case("Where", condition == 1, first.astype(dtype), second.astype(dtype), opset=9)
    for upper in [0, 1]:
        for k in [None, -1, 1, 5, -9]:
            case("Trilu", value, None if k is None else np.array(k), opset=14, upper=upper)
    for mode in ["constant", "edge", "reflect", "wrap"]:
        case("Pad", value, integers(1, 0, 2, 0, 3, 1), opset=19, mode=mode)
        case("Pad", value, integers(2, 1), np.float32(4), integers(-2), opset=19, mode=mode)
    case("Pad", value, integers(-1, 0, 0, 0, -2, 1), opset=13)
    case("Pad", numbers(np.float32, 0, 2), integers(1, 0, 1, 0), opset=13)
    case("Pad", value, opset=7, pads=[1, 0, 0, 0, 0, 1], value=2.5)
    case("OneHot", integers(0, 2, -1), np.int64(3), np.array([0, 1], np.float32), opset=11)
    case("OneHot", np.array([[0, 5], [-3, 1]]), np.int64(3), np.array([2, 7], np.int64), opset=11, axis=0)
    case("NonZero", np.float32([[0, 1], [2, 0]]))
    case("NonZero", np.zeros((0, 2), np.float32))
    for largest in [0, 1]:
        case("TopK", value, integers(2), opset=11, outputs=2, axis=1, largest=largest)
    case("TopK", np.array([3, 1, 3, 2], np.int64), integers(3), opset=11, outputs=2)


def reduction():
    operators = ["ReduceSum", "ReduceMean", "ReduceMax", "ReduceMin", "ReduceProd", "ReduceSumSquare", "ReduceL1", "ReduceL2",
                 "ReduceLogSum", "ReduceLogSumExp"]
    for operator in operators:
        attribute = 12 if operator == "ReduceSum" else 17
        for dtype in [np.float32, np.float64, np.float16, np.int32, np.int64, np.int8, np.uint8]:
            value = numbers(dtype, 2, 3, 4, low=1, high=4)
            value = np.abs(value) if "Log" in operator else value
            for keepdims in [0, 1]:
                case(operator, value, opset=attribute, axes=[1], keepdims=keepdims, terms=3)
                case(operator, value, np.array([-1, 0]), opset=18, keepdims=keepdims, terms=8)
            case(operator, value, opset=attribute, terms=24)
            case(operator, value, opset=18, terms=24)
            case(operator, value, opset=18, noop_with_empty_axes=1)
        case(operator, np.float32(3), opset=18)
        case(operator, numbers(np.float32, 2, 3), opset=7, axes=[1])
        case(operator, np.zeros((2, 0), np.float32), np.array([0]), opset=18, keepdims=0)
    case("ReduceSum", np.zeros((2, 0), np.float32), np.array([1]), opset=13)
    case("ReduceSum", numbers(np.float32, 2, 3), np.zeros(0, np.int64), opset=13, noop_with_empty_axes=1)
    for operator in ["ArgMax", "ArgMin"]:
        for dtype in [np.float32, np.float64, np.int32, np.int64, np.int8, np.uint8]:
            value = numbers(dtype, 3, 4, 2, low=0, high=3)
            for axis in [0, -1, 1]:
                case(operator, value, opset=13, axis=axis)
                case(operator, value, opset=13, axis=axis, keepdims=0, select_last_index=1)
    for dtype in [np.float32, np.float64, np.int32, np.int64]:
        for exclusive, reverse in [(0, 0), (1, 0), (0, 1), (1, 1)]:
            case("CumSum", numbers(dtype, 2, 5), np.array(1, np.int32), opset=14, exclusive=exclusive, reverse=reverse, terms=5)
    case("CumSum", numbers(np.float32, 2, 5), np.array(-2), opset=11, terms=2)


def normalization():
    for operator in ["Softmax", "LogSoftmax"]:
        for dtype in FLOATS:
            value = 3 * numbers(dtype, 2, 3, 4)
            for axis in [0, 1, 2, -1, -2]:
                for opset in [7, 11, 13]:
                    case(operator, value, opset=opset, axis=axis, terms=24)
            case(operator, value, opset=12, terms=12)
            case(operator, value, opset=20, terms=4)
        case(operator, np.zeros((0, 3), np.float32), opset=13)
        case(operator, np.float32([[-1e30, 2, 1], [88, 89, 90]]), opset=13, terms=3)
    for dtype in FLOATS:
        value = numbers(dtype, 3, 4, 8)
        for axis, shape in [(-1, (8,)), (1, (4, 8)), (2, (8,))]:
            scale, bias = numbers(dtype, *shape), numbers(dtype, *shape)
            case("LayerNormalization", value, scale, bias, axis=axis, outputs=[True, True, True], terms=32)
            case("LayerNormalization", value, scale, axis=axis, epsilon=0.1, terms=32)
        case("RMSNormalization", value, numbers(dtype, 8), opset=23, terms=8)
        case("SkipLayerNormalization", value, numbers(dtype, 3, 4, 8), numbers(dtype, 8), numbers(dtype, 8),
             domain=MICROSOFT, epsilon=1e-5, terms=8)
        case("SkipLayerNormalization", value, numbers(dtype, 3, 4, 8), numbers(dtype, 8), None, numbers(dtype, 8),
             domain=MICROSOFT, outputs=[True, False, False, True], epsilon=1e-5, terms=8)
        case("BiasGelu", value, numbers(dtype, 8), domain=MICROSOFT)
        case("FastGelu", value, numbers(dtype, 8), domain=MICROSOFT, terms=8)
        case("FastGelu", value, domain=MICROSOFT, terms=8)
        case("QuickGelu", value, domain=MICROSOFT)
        case("QuickGelu", value, domain=MICROSOFT, alpha=1.0)
    for segments in [False, True]:
        for mask in [False, True]:
            ids, types = numbers(np.int32, 2, 5, low=0), numbers(np.int32, 2, 5, low=0, high=2)
            case("EmbedLayerNormalization", ids, types if segments else None, numbers(np.float32, 10, 8),
                 numbers(np.float32, 6, 8), numbers(np.float32, 2, 8) if segments else None, numbers(np.float32, 8),
                 numbers(np.float32, 8), np.array([[1] * 5, [1, 1, 1, 0, 0]], np.int32) if mask else None, domain=MICROSOFT,
                 epsilon=1e-5, outputs=[True, True], terms=8)


def products():
    pairs = [((2, 3), (3, 4)), ((3,), (3, 4)), ((2, 3), (3,)), ((3,), (3,)), ((2, 1, 2, 3), (4, 3, 5)), ((0, 3), (3, 2)),
             ((2, 0), (0, 3)), ((5, 2, 3), (3, 4)), ((33, 65), (65, 17))]
    for left, right in pairs:
        for dtype in FLOATS + [np.int32, np.int64, np.uint32, np.uint64]:
            case("MatMul", numbers(dtype, *left), numbers(dtype, *right), opset=13, terms=left[-1])
        for transposed in [(0, 0), (1, 0), (0, 1), (1, 1)]:
            if len(left) == 2 and len(right) == 2 and 0 not in left:
                a, b = numbers(np.float32, *left), numbers(np.float32, *right)
                a, b = a.T if transposed[0] else a, b.T if transposed[1] else b
                keys = dict(transA=transposed[0], transB=transposed[1])
                case("FusedMatMul", a.copy(), b.copy(), domain=MICROSOFT, alpha=0.125, terms=left[-1], **keys)
                for bias in [None, (right[-1],), (left[0], right[-1]), (left[0], 1), ()]:
                    bias = () if bias is None else (numbers(np.float32, *bias),)
                    case("Gemm", a.copy(), b.copy(), *bias, opset=13, alpha=0.5, beta=2.0, terms=left[-1], **keys)
    for dtype in FLOATS:
        case("Gemm", numbers(dtype, 2, 3), numbers(dtype, 3, 4), numbers(dtype, 4), opset=13, terms=3)
        case("FusedMatMul", numbers(dtype, 2, 5, 3), numbers(dtype, 2, 4, 3), domain=MICROSOFT, transB=1, alpha=0.25, terms=3)
    case("Gemm", numbers(np.float32, 2, 3), numbers(np.float32, 3, 4), numbers(np.float32, 4), opset=7, terms=3)


def attention():
    for dtype in [np.float32, np.float16]:
        q, k, v = numbers(dtype, 2, 5, 12), numbers(dtype, 2, 7, 12), numbers(dtype, 2, 7, 12)
        heads = dict(q_num_heads=3, kv_num_heads=3)
        case("Attention", q, k, v, opset=23, terms=12, **heads)
        case("Attention", q, k, v, numbers(dtype, 5, 7), opset=23, terms=12, scale=0.3, **heads)
        case("Attention", q, k, v, numbers(np.int8, 5, 7, low=0, high=5) > 0, opset=23, terms=12, **heads)
        case("Attention", q, k, v, opset=23, terms=12, softcap=2.0, **heads)
        case("Attention", q, k, v, opset=23, terms=12, is_causal=1, **heads)
        case("Attention", numbers(dtype, 2, 4, 5, 3), numbers(dtype, 2, 2, 7, 3), numbers(dtype, 2, 2, 7, 6), opset=23, terms=12)
        case("Attention", q, k, v, None, numbers(dtype, 2, 3, 2, 4), numbers(dtype, 2, 3, 2, 4), opset=23, outputs=3, terms=12,
             **heads)
        case("MultiHeadAttention", q, k, v, domain=MICROSOFT, num_heads=3, terms=12)
        case("MultiHeadAttention", q, k, v, numbers(dtype, 36), domain=MICROSOFT, num_heads=3, scale=0.4, terms=12)
        case("MultiHeadAttention", q, k, v, None, np.array([[1] * 7, [1] * 4 + [0] * 3], np.int32), domain=MICROSOFT,
             num_heads=3, terms=12)
        case("MultiHeadAttention", q, k, v, None, None, numbers(dtype, 2, 3, 5, 7), domain=MICROSOFT, num_heads=3, terms=12)
    masks = [None, np.array([[1] * 5, [1, 1, 1, 0, 0]], np.int32), np.array([5, 3], np.int32), np.array([5, 4, 0, 1], np.int32),
             numbers(np.int32, 2, 5, 5, low=0, high=2)]
    for mask in masks:
        value, weight, bias = numbers(np.float32, 2, 5, 8), numbers(np.float32, 8, 36), numbers(np.float32, 36)
        case("Attention", value, weight, bias, mask, domain=MICROSOFT, num_heads=3, terms=20)
        case("Attention", value, weight, bias, mask, domain=MICROSOFT, num_heads=3, mask_filter_value=-3.0, scale=0.5, terms=20)
        if mask is None or mask.ndim < 3:
            for weights in [np.int8, np.uint8]:
                low, high = (-128, 128) if weights == np.int8 else (0, 256)
                case("QAttention", numbers(np.uint8, 2, 5, 8, low=0, high=256), numbers(weights, 8, 36, low=low, high=high), bias,
                     np.float32(0.02), np.float32(0.01), mask, np.uint8(120), np.array(3, weights), domain=MICROSOFT,
                     num_heads=3, terms=20)
    case("Attention", numbers(np.float32, 2, 5, 8), numbers(np.float32, 8, 36), numbers(np.float32, 36), domain=MICROSOFT,
         num_heads=3, unidirectional=1, terms=20)
    case("Attention", numbers(np.float32, 2, 5, 8), numbers(np.float32, 8, 30), numbers(np.float32, 30), domain=MICROSOFT,
         num_heads=3, qkv_hidden_sizes=[12, 12, 6], terms=20)


def whole(dtype):
    information = np.iinfo(dtype)
    return information.min, information.max + 1


def quantization():
    value = 3 * numbers(np.float32, 3, 4)
    ties = np.array([[0.5, 1.5, -0.5, -1.5], [1000, -1000, 2.5, 0], [0.25, 0.75, 3, 4]], np.float32)
    for domain in ["", MICROSOFT]:
        for dtype in [np.int8, np.uint8, np.int16, np.uint16]:
            opset = 21 if dtype in [np.int16, np.uint16] and not domain else 13
            for data in [value, ties]:
                case("QuantizeLinear", data, np.float32(0.5), np.array(3, dtype), opset=opset, domain=domain)
                for axis, size in [(0, 3), (1, 4), (-1, 4)]:
                    scale = np.abs(numbers(np.float32, size)) + 0.1
                    zero = numbers(dtype, size, low=0)
                    case("QuantizeLinear", data, scale, zero, opset=opset, axis=axis, domain=domain)
            packed = numbers(dtype, 3, 4, low=whole(dtype)[0], high=whole(dtype)[1])
            case("DequantizeLinear", packed, np.float32(0.5), np.array(3, dtype), opset=opset, domain=domain)
            case("DequantizeLinear", packed, np.float32(0.5), opset=opset, domain=domain)
            case("DequantizeLinear", packed, np.abs(numbers(np.float32, 4)), numbers(dtype, 4, low=0), opset=opset, axis=1,
                 domain=domain)
        case("DequantizeLinear", numbers(np.int32, 3, 4), np.float32(0.5), opset=13, domain=domain)
        case("QuantizeLinear", value.astype(np.float16), np.float16(0.5), np.uint8(3), opset=19, domain=domain)
    case("QuantizeLinear", value, np.float32(0.5), opset=10)
    case("QuantizeLinear", np.float32(1.3), np.float32(0.5), np.uint8(3), opset=10)
    case("QuantizeLinear", np.zeros((0, 2), np.float32), np.float32(0.5), np.uint8(3), opset=10)
    case("DequantizeLinear", numbers(np.uint8, 3, 4), np.float16(0.5), np.uint8(3), opset=19)
    case("DequantizeLinear", numbers(np.uint8, 2, 6), np.abs(numbers(np.float32, 2, 3)), numbers(np.uint8, 2, 3), opset=21,
         axis=1, block_size=2)
    case("DequantizeLinear", numbers(np.int8, 6, 2), np.abs(numbers(np.float32, 3, 2)), opset=21, axis=0, block_size=2)
    case("QuantizeLinear", numbers(np.float32, 2, 6), np.abs(numbers(np.float32, 2, 3)) + 0.1, numbers(np.uint8, 2, 3), opset=21,
         axis=1, block_size=2)
    case("QuantizeLinear", value, np.float32(0.5), opset=21, output_dtype=TensorProto.INT8)
    for kind, low in [(TensorProto.INT4, -8), (TensorProto.UINT4, 0)]:
        packed = helper.make_tensor("", kind, [3, 5], [low + i for i in range(15)])
        case("DequantizeLinear", packed, np.float32(0.5), opset=21)
        case("DequantizeLinear", packed, np.abs(numbers(np.float32, 3)), opset=21, axis=0)
    for data in [value, np.abs(value), -np.abs(value), np.zeros((2, 2), np.float32), np.float32(2), np.zeros((0,), np.float32)]:
        case("DynamicQuantizeLinear", data, opset=11, outputs=3)
    for left, right in [((2, 3), (3, 4)), ((2, 5, 3), (3, 4)), ((2, 2, 3), (2, 3, 4)), ((7, 33), (33, 9))]:
        for a in [np.uint8, np.int8]:
            for b in [np.uint8, np.int8]:
                first, second = (numbers(kind, *shape, low=whole(kind)[0], high=whole(kind)[1]) for kind, shape in
                                 [(a, left), (b, right)])
                columns = numbers(b, right[-1], low=0)
                case("MatMulInteger", first, second, opset=10)
                case("MatMulInteger", first, second, np.array(5, a), np.array(2, b), opset=10)
                case("QLinearMatMul", first, np.float32(0.02), np.array(5, a), second, np.float32(0.03),
                     np.array(2, b), np.float32(0.7), np.array(9, a), opset=10)
                scales = np.abs(numbers(np.float32, right[-1])) * 0.02
                if len(right) == 2:
                    case("MatMulInteger", first, second, np.array(5, a), columns, opset=10)
                    case("MatMulIntegerToFloat", first, second, np.float32(0.02), scales, np.array(5, a), columns,
                         numbers(np.float32, right[-1]), domain=MICROSOFT, terms=left[-1])
                case("MatMulIntegerToFloat", first, second, np.float32(0.02), np.float32(0.01), np.array(5, a), np.array(2, b),
                     domain=MICROSOFT, terms=left[-1])
                data = numbers(np.float32, *left)
                case("DynamicQuantizeMatMul", data, second, np.float32(0.01), np.array(2, b), domain=MICROSOFT, terms=left[-1])
                if len(right) == 2:
                    case("DynamicQuantizeMatMul", data, second, scales, columns, numbers(np.float32, right[-1]), domain=MICROSOFT,
                         constants=(1, 2, 3), terms=left[-1])
                    case("QGemm", first, np.float32(0.02), np.array(5, a), second, np.float32(0.03), np.array(2, b),
                         numbers(np.int32, right[-1]), np.float32(0.7), np.array(9, a), domain=MICROSOFT)
                    case("QGemm", first, np.float32(0.02), np.array(5, a), second, scales + 0.01, columns,
                         numbers(np.int32, right[-1]), domain=MICROSOFT, terms=left[-1])
    for dtype in [np.uint8, np.int8]:
        scale = lambda: np.float32(abs(rng.normal()) + 0.1)
        zero = lambda: np.array(3, dtype)
        one, two = (numbers(dtype, 3, 4, low=whole(dtype)[0], high=whole(dtype)[1]) for _ in range(2))
        for operator in ["QLinearAdd", "QLinearMul"]:
            case(operator, one, scale(), zero(), two, scale(), zero(), scale(), zero(), domain=MICROSOFT)
            case(operator, one, scale(), zero(), two[0], scale(), zero(), scale(), zero(), domain=MICROSOFT)
        small = np.float32(1 / 256)
        case("QLinearSigmoid", one, np.float32(0.05), zero(), small, np.array(np.iinfo(dtype).min, dtype), domain=MICROSOFT)
        case("QLinearLeakyRelu", one, scale(), zero(), scale(), zero(), domain=MICROSOFT, alpha=0.1)
        case("QLinearConcat", scale(), zero(), one, scale(), zero(), two, scale(), zero(), domain=MICROSOFT, axis=1)
        case("QLinearSoftmax", one, np.float32(0.05), zero(), small, np.array(np.iinfo(dtype).min, dtype), domain=MICROSOFT,
             axis=-1, node_opset=13)
    for bits in [4, 8]:
        for block in [16, 32]:
            depth, columns = 40, 6
            blocks = -(-depth // block)
            weights = numbers(np.uint8, columns, blocks, block * bits // 8, low=0, high=256)
            scales = np.abs(numbers(np.float32, columns, blocks)) * 0.1
            zeros = numbers(np.uint8, columns, -(-blocks * bits // 8), low=0, high=256)
            keys = dict(domain=MICROSOFT, K=depth, N=columns, bits=bits, block_size=block, terms=depth)
            data = numbers(np.float32, 2, 3, depth)
            case("MatMulNBits", data, weights, scales, constants=(1, 2), **keys)
            case("MatMulNBits", data, weights, scales, zeros, constants=(1, 2, 3), **keys)
            case("MatMulNBits", data, weights, scales, zeros, None, numbers(np.float32, columns), constants=(1, 2, 3, 5), **keys)
    for kind in [0, 1]:
        for block in [16, 32]:
            depth, columns = 40, 6
            weights = numbers(np.uint8, depth * columns // 2, low=0, high=256)
            scales = np.abs(numbers(np.float32, -(-depth * columns // block)))
            case("MatMulBnb4", numbers(np.float32, 2, 3, depth), weights, scales, constants=(1, 2), domain=MICROSOFT, K=depth,
                 N=columns, block_size=block, quant_type=kind, terms=depth)
    for segments in [False, True]:
        def table(*shape):
            return numbers(np.uint8, *shape, low=0, high=256)
        parts = [table(10, 8), table(6, 8), table(2, 8) if segments else None, table(8), table(8)]
        step = [np.float32(0.01 * (index + 1)) for index in range(5)]
        zeros = [np.array(100 + index, np.uint8) for index in range(5)]
        if not segments:
            step[2] = zeros[2] = None
        types = numbers(np.int32, 2, 5, low=0, high=2) if segments else None
        mask = np.array([[1] * 5, [1, 1, 1, 0, 0]], np.int32)
        case("QEmbedLayerNormalization", numbers(np.int32, 2, 5, low=0), types, *parts, mask, *step, *zeros,
             constants=tuple(range(2, 7)) + tuple(range(8, 18)), domain=MICROSOFT, epsilon=1e-5, outputs=[True, True], terms=8)
    for dtype in [np.uint8, np.int8]:
        one, two = numbers(dtype, 2, 3), numbers(dtype, 2, 3)
        parameters = [np.float32(0.05), np.array(3, dtype), two, np.float32(0.03), np.array(1, dtype), np.float32(0.04),
                      np.array(2, dtype)]
        case("QLinearWhere", np.array([[True], [False]]), one, *parameters, constants=(2, 3, 5, 6, 7, 8), domain=MICROSOFT)


def control():
    branches = {}
    for name, value in [("then_branch", 1.5), ("else_branch", -2.5)]:
        node = helper.make_node("Constant", [], ["b"], value_float=value)
        branches[name] = helper.make_graph([node], name, [], [helper.make_tensor_value_info("b", TensorProto.FLOAT, [])])
    for condition in [True, False]:
        case("If", np.array(condition), opset=16, **branches)


def edges():
    """Nothing to compute, axes from the end, scalars, and the newest operator sets."""
    def empty(*shape, dtype=np.float32):
        return np.zeros(shape, dtype)

    for dtype in [np.float32, np.float64]:
        for shape in [(0, 4), (2, 0, 4)]:
            case("LayerNormalization", empty(*shape, dtype=dtype), numbers(dtype, 4), numbers(dtype, 4), opset=17)
            case("Softmax", empty(*shape, dtype=dtype), opset=13, axis=-1)
            case("LogSoftmax", empty(*shape, dtype=dtype), opset=13, axis=-2)
        case("LayerNormalization", numbers(dtype, 2, 3, 4), numbers(dtype, 3, 4), numbers(dtype, 3, 4), opset=17, axis=-2)
        case("LayerNormalization", numbers(dtype, 3, 1), numbers(dtype, 1), opset=17)
        case("Gemm", empty(0, 3, dtype=dtype), numbers(dtype, 3, 2), numbers(dtype, 2), opset=13)
        case("Gemm", numbers(dtype, 2, 3), empty(3, 0, dtype=dtype), opset=13)
        case("MatMul", empty(2, 0, 3, dtype=dtype), numbers(dtype, 3, 2), opset=13)
    for left, right in [((0, 3), (3, 2)), ((2, 3), (3, 0))]:
        case("MatMulInteger", empty(*left, dtype=np.uint8), empty(*right, dtype=np.int8), np.uint8(3), np.int8(0), opset=10)
    for dtype in [np.uint8, np.int8]:
        for shape in [(), (0,), (2, 0)]:
            case("QuantizeLinear", numbers(np.float32, *shape), np.float32(0.5), np.array(3, dtype), opset=13)
            case("DequantizeLinear", numbers(dtype, *shape), np.float32(0.5), np.array(3, dtype), opset=13)
        case("DequantizeLinear", numbers(dtype, 2, 3, 4), numbers(np.float32, 3), numbers(dtype, 3), opset=13, axis=-2)
        case("QuantizeLinear", numbers(np.float32, 2, 3, 4), np.abs(numbers(np.float32, 4)) + 1, numbers(dtype, 4), opset=13, axis=-1)
    halves = np.array([-2.5, -1.5, -0.5, 0.5, 1.5, 2.5, 300, -300, INF, -INF], np.float32)
    for dtype in [np.uint8, np.int8, np.uint16, np.int16]:
        case("QuantizeLinear", halves, np.float32(1), np.array(7, dtype), opset=21)
    case("DynamicQuantizeLinear", np.full((2, 3), 2.5, np.float32), opset=11, outputs=3)
    case("DynamicQuantizeLinear", np.zeros((2, 3), np.float32), opset=11, outputs=3)
    for axis in [-1, -2]:
        case("Gather", numbers(np.float32, 3, 4), np.array([-1, 0], np.int64), opset=13, axis=axis)
        case("GatherElements", numbers(np.float32, 3, 4), np.array([[0, 1], [-1, 2]], np.int64), opset=13, axis=axis)
        case("TopK", numbers(np.float32, 3, 4), np.array([2], np.int64), opset=11, axis=axis, outputs=2)
        case("ArgMax", numbers(np.float32, 3, 4), opset=13, axis=axis)
        case("CumSum", numbers(np.float32, 3, 4), np.array(axis, np.int64), opset=14)
        case("Concat", numbers(np.float32, 3, 4), numbers(np.float32, 3, 4), opset=13, axis=axis)
        case("Split", numbers(np.float32, 4, 4), opset=18, axis=axis, num_outputs=2, outputs=2)
        case("ReduceMean", numbers(np.float32, 3, 4), np.array([axis], np.int64), opset=18, keepdims=0)
        case("Unsqueeze", numbers(np.float32, 3, 4), np.array([axis, 0], np.int64), opset=13)
        case("Flatten", numbers(np.float32, 2, 3, 4), opset=13, axis=axis)
    for operator in ["Gather", "GatherElements"]:
        case(operator, numbers(np.float32, 3, 4), empty(0, 4, dtype=np.int64), opset=13, axis=0)
    case("GatherND", numbers(np.float32, 3, 4), empty(0, 1, dtype=np.int64), opset=13)
    case("ScatterND", numbers(np.float32, 3), empty(0, 1, dtype=np.int64), empty(0), opset=16)
    case("TopK", empty(0, 4), np.array([2], np.int64), opset=11, outputs=2)
    case("ReduceSum", empty(2, 0), np.array([1], np.int64), opset=13)
    case("ReduceSum", empty(0, 2), np.array([1], np.int64), opset=13)
    for shape in [(0, 3), (2, 0, 3)]:
        case("Squeeze", empty(*shape)[None], np.array([0], np.int64), opset=13)
        case("Unsqueeze", empty(*shape), np.array([-1], np.int64), opset=13)
        case("Flatten", empty(*shape), opset=13)
        case("Transpose", empty(*shape), opset=13)
        case("Concat", empty(*shape), empty(*shape), opset=13, axis=-1)
        case("Trilu", empty(*shape), opset=14)
        case("Erf", empty(*shape), opset=13)
        case("Cast", empty(*shape), opset=13, to=TensorProto.INT64)
    for operator in ["Tanh", "Erf", "Sigmoid", "Exp", "Log"]:
        case(operator, np.array([NAN, INF, -INF, -0.0, 1e-40, 88, -88], np.float32), opset=13)
    # Sums of exactly half a step, as in the 1 + erf(x) of a quantised GELU.
    case("QLinearAdd", np.arange(0, 256, 3, dtype=np.uint8), np.float32(2 / 255), np.uint8(128), np.uint8(255),
         np.float32(1 / 255), np.uint8(0), np.float32(2 / 255), np.uint8(0), domain=MICROSOFT)
    # As far as ONNX Runtime goes.
    for opset in [21, 22, 23, 24, 25]:
        value = numbers(np.float32, 2, 3)
        case("Cast", value, opset=opset, to=TensorProto.FLOAT16)
        case("Reshape", value, np.array([3, -1], np.int64), opset=opset)
        case("Transpose", value, opset=opset)
        case("Shape", value, opset=opset)
        case("Identity", value, opset=opset)
        case("Gelu", value, opset=opset, approximate="tanh")
        case("LayerNormalization", value, numbers(np.float32, 3), numbers(np.float32, 3), opset=opset)
        case("Softmax", value, opset=opset)
        case("QuantizeLinear", value, np.float32(0.1), np.uint8(7), opset=opset)
        case("DequantizeLinear", numbers(np.uint8, 2, 3), np.float32(0.1), np.uint8(7), opset=opset)
        if opset >= 23:
            query, key = numbers(np.float32, 1, 2, 3, 4), numbers(np.float32, 1, 2, 5, 4)
            case("Attention", query, key, numbers(np.float32, 1, 2, 5, 4), opset=opset, terms=5)
            case("Attention", query, key, numbers(np.float32, 1, 2, 5, 4), numbers(np.float32, 3, 5), opset=opset, terms=5)
            case("RMSNormalization", value, numbers(np.float32, 3), opset=opset)


for group in [arithmetic, comparison, functions, casting, constants, layout, indexing, reduction, normalization, products,
              attention, quantization, control, edges]:
    group()
path = os.path.join(os.path.dirname(os.path.abspath(__file__)), "operators.json")
with open(path, "w") as file:
    json.dump(cases, file, separators=(",", ":"))
print("\n".join(refused))
print(dict(counts))
print(f"{len(cases)} cases of {len(counts)} operators, {len(refused)} refused, {os.path.getsize(path)} bytes")
