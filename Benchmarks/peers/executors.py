"""Times SpanQA's executor beside ONNX Runtime, OpenVINO, CTranslate2 and PyTorch on DistilBERT-base with random weights.

    pip install torch transformers onnx onnxruntime openvino nncf ctranslate2
    swift build -c release --product spanqa
    python Benchmarks/peers/executors.py --models FOLDER [--threads 2] [--rounds 7] [--precision float32,int8] [--json FILE]

Same tokens' shapes, same number of threads, no padding inside a shape. The engines take turns within a round, each in a process of its own that
sleeps meanwhile, so that what else the machine does falls on all of them. A figure is the median over rounds of an engine's median within a
round; a ratio is the median over rounds of the ratios within a round, with the smallest and the largest. `engines.py` says how each peer is run.
"""
import argparse
import json

import engines
import models

SHAPES = ["1x32", "1x128", "1x384", "8x128", "8x384"]


def batch(shape):
    sequences, tokens = map(int, shape.split("x"))
    return [tokens] * sequences


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    engines.options(parser)
    parser.add_argument("--shapes", default=",".join(SHAPES))
    parser.add_argument("--seconds", type=float, default=0.3, help="of each engine in each round")
    arguments = parser.parse_args()

    models.make(arguments.models)
    names, shapes = arguments.engines.split(","), arguments.shapes.split(",")
    figures = []
    for precision in arguments.precision.split(","):
        running = engines.start(names, precision, arguments.threads, arguments.models, arguments.spanqa, [batch("1x128")])
        print(f"\n{precision}, {arguments.threads} threads: median ms (times SpanQA's; least to most). Forms: "
              + ", ".join(f"{engine.name} {engine.form}" for engine in running.values()) + "\n")
        print(engines.table(["batch×tokens"] + [engines.TITLES[name] for name in names]), flush=True)
        for shape in shapes:
            rounds = [{name: engine.time([batch(shape)], arguments.seconds) for name, engine in running.items()}
                      for _ in range(arguments.rounds)]
            figures.append({"precision": precision, "threads": arguments.threads, "workload": shape, "rounds": rounds,
                            "forms": {engine.name: engine.form for engine in running.values()}})
            print(engines.row([shape] + [engines.cell(rounds, name) for name in names]), flush=True)
        for engine in running.values():
            engine.close()
    if arguments.json:
        arguments.json.write_text(json.dumps(figures, indent=1) + "\n")


if __name__ == "__main__":
    main()
