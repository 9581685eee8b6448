"""What a user of a peer writes for one answer: `first_answer.py ENGINE THREADS FOLDER MODEL QUESTION PASSAGE` prints it and ends. startup.py runs
it in a fresh process and times it; on standard error go the seconds until the imports, the model and the answer were there."""
import sys
import time

START = time.perf_counter()


def main():
    engine, threads, folder, model, question, passage = sys.argv[1:]
    import numpy
    import tokenizers

    if engine.startswith("onnxruntime"):
        import onnxruntime
    else:
        import openvino
    imported = time.perf_counter()

    tokenizer = tokenizers.Tokenizer.from_file(f"{folder}/tokenizer.json")
    if engine.startswith("onnxruntime"):
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = int(threads)
        if engine == "onnxruntime-saved":
            options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
        session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        run = lambda feed: session.run(["start_logits", "end_logits"], feed)
    else:
        core = openvino.Core()
        if engine == "openvino-cached":
            core.set_property({"CACHE_DIR": f"{folder}/openvino-cache"})
        settings = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_NUM_THREADS": int(threads), "INFERENCE_PRECISION_HINT": "f32"}
        request = core.compile_model(model, "CPU", settings).create_infer_request()
        run = lambda feed: [request.infer(feed)[name] for name in ["start_logits", "end_logits"]]
    loaded = time.perf_counter()

    encoding = tokenizer.encode(question, passage)
    ids = numpy.array([encoding.ids], dtype=numpy.int64)
    start, end = [output[0] for output in run({"input_ids": ids, "attention_mask": numpy.ones_like(ids)})]
    inside = numpy.array([part == 1 for part in encoding.sequence_ids])
    scores = start[:, None] + end[None, :]
    scores[~inside, :] = scores[:, ~inside] = -numpy.inf
    scores[numpy.tri(len(ids[0]), k=-1, dtype=bool) | ~numpy.tri(len(ids[0]), k=14, dtype=bool)] = -numpy.inf
    first, last = divmod(int(scores.argmax()), len(ids[0]))
    print(passage[encoding.offsets[first][0]:encoding.offsets[last][1]], flush=True)
    print(imported - START, loaded - imported, time.perf_counter() - loaded, file=sys.stderr)


main()
