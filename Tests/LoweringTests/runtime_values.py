"""What ONNX Runtime has as each value of a form's graph, and how far ONNX Runtime is from itself on quantised forms.

    python runtime_values.py FOLDER [NAME ...]      FOLDER as make_forms.py writes it; without names, all its forms
    python runtime_values.py --tiny                 two of Goldens/Forms, whose values are committed

NAME.values is an ONNX file of initialisers alone: the inputs of a short batch and the outputs of all nodes, by name, without graph
optimisation. `spanqa verify --values` and the tests run every node by itself on them. "floor" in forms.json is the largest
difference of the logits of the form's cases between ONNX Runtime and itself: with all graph optimisations, or with each value
that is quantised while the model runs changed in its last bit (1 ± 2⁻²³, at random for each channel, with four seeds).
"""
import argparse
import json
import os

import numpy
import onnx
import onnxruntime
from onnx import helper, numpy_helper

Level = onnxruntime.GraphOptimizationLevel
QUANTIZING = ["QuantizeLinear", "DynamicQuantizeLinear", "DynamicQuantizeMatMul"]


def session(model, folder, level=Level.ORT_DISABLE_ALL):
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = level
    options.log_severity_level = 3
    # A model in memory has no folder of its own in which external data would be looked for.
    options.add_session_config_entry("session.model_external_initializers_file_folder_path", folder)
    source = model if isinstance(model, str) else model.SerializeToString()
    return onnxruntime.InferenceSession(source, options, providers=["CPUExecutionProvider"])


def cases(folder, name):
    with open(os.path.join(folder, name + ".json")) as file:
        return json.load(file)


def feed(running, case):
    return {value.name: numpy.array(case[value.name], numpy.int64) for value in running.get_inputs()}


def short(case, rows=2, columns=14):
    """The first tokens of the first rows, the second of them padded."""
    batch = {key: numpy.array(case[key])[:rows, :columns] for key in ["input_ids", "attention_mask", "token_type_ids"]
             if key in case}
    batch["attention_mask"][1:, -4:] = 0
    return batch


def values(folder, name, batch):
    """All values of the graph for a batch, by name; none where ONNX Runtime has no kernels without optimisation."""
    path = os.path.join(folder, name + ".onnx")
    model = onnx.load(path, load_external_data=False)
    known = {value.name for value in model.graph.output}
    # What follows from constants alone is left out: it is large, and the same everywhere.
    moving = {value.name for value in model.graph.input}
    for node in model.graph.node:
        if any(value in moving for value in node.input):
            moving.update(node.output)
    model.graph.output.extend(onnx.ValueInfoProto(name=output) for node in model.graph.node for output in node.output
                              if output and output not in known and output in moving)
    try:
        running = session(model, folder)
    except Exception as error:
        print(f"{name}: no values: {str(error)[:120]}")
        return {}
    inputs = feed(running, batch)
    outputs = running.run(None, inputs)
    return {**inputs, **{value.name: array for value, array in zip(running.get_outputs(), outputs)}}


def write(folder, name, found):
    tensors = [numpy_helper.from_array(array, key) for key, array in found.items()
               if isinstance(array, numpy.ndarray)]
    # A graph must have an output: the first value.
    outputs = [helper.make_tensor_value_info(tensors[0].name, tensors[0].data_type, tensors[0].dims)]
    graph = helper.make_graph([], "values", [], outputs, initializer=tensors)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 14)], ir_version=8),
              os.path.join(folder, name + ".values"))


def logits(running, name, folder):
    found = []
    for case in cases(folder, name):
        kept = numpy.array(case["attention_mask"]) == 1
        for value, array in zip(running.get_outputs(), running.run(None, feed(running, case))):
            if value.name in case:
                found.append(array[kept].reshape(-1))
    return numpy.concatenate(found)


def perturbed(folder, name, found, length, seed):
    """The model with each value that it quantises while it runs changed in its last bit."""
    model = onnx.load(os.path.join(folder, name + ".onnx"), load_external_data=False)
    generator = numpy.random.default_rng(seed)
    nodes, factors = [], {}
    for node in model.graph.node:
        x = node.input[0] if node.op_type in QUANTIZING else ""
        array = found.get(x)
        if array is not None and array.ndim > 1 and array.shape[-1] != length and array.dtype == numpy.float32:
            if x not in factors:
                factors[x] = x + ".changed"
                factor = (1 + generator.integers(-1, 2, array.shape[-1]) * 2.0 ** -23).astype(numpy.float32)
                model.graph.initializer.append(numpy_helper.from_array(factor, x + ".factor"))
                nodes.append(helper.make_node("Mul", [x, x + ".factor"], [x + ".changed"]))
            node.input[0] = factors[x]
        nodes.append(node)
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    return model if factors else None


def floor(folder, name, found, length):
    path = os.path.join(folder, name + ".onnx")
    expected = logits(session(path, folder), name, folder)
    others = [session(path, folder, Level.ORT_ENABLE_ALL)]
    for seed in range(4):
        model = perturbed(folder, name, found, length, seed)
        if model is not None:
            others.append(session(model, folder))
    return max(float(numpy.abs(logits(other, name, folder) - expected).max()) for other in others)


def add(folder, row):
    """Writes the values of a form, and its floor where it is quantised."""
    name = row["file"]
    batch = short(cases(folder, name)[-1])
    found = values(folder, name, batch)
    if not found:
        return
    write(folder, name, found)
    if row["quantised"]:
        try:
            row["floor"] = float(f"{floor(folder, name, found, batch['input_ids'].shape[1]):.3g}")
        except Exception as error:
            print(f"{name}: no floor: {str(error)[:120]}")
    print(f"{name}: {len(found)} values, floor {row.get('floor')}", flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", nargs="?")
    parser.add_argument("names", nargs="*")
    parser.add_argument("--tiny", action="store_true")
    options = parser.parse_args()
    if options.tiny:
        forms = os.path.join(os.path.dirname(os.path.abspath(__file__)), "Goldens", "Forms")
        for name in ["bert-dynamic-int8", "distilbert-qdq-channel"]:
            write(forms, name, values(forms, name, short(cases(forms, name)[-1], columns=7)))
    else:
        path = os.path.join(options.folder, "forms.json")
        with open(path) as file:
            rows = json.load(file)
        for row in rows:
            if not options.names or row["file"] in options.names:
                add(options.folder, row)
        with open(path, "w") as file:
            json.dump(rows, file, indent=1)
            file.write("\n")
