"""What `spanqa export` writes, in ONNX Runtime and in transformers, beside this engine.

    python compare_exports.py .build/release/spanqa SOURCE …     (torch 2.13.0, transformers 4.57.6, onnxruntime 1.32.0)

Each source is a folder or file to export. Prints the greatest difference of the logits over a batch of eight rows of mixed lengths, of
random tokens: this engine's against ONNX Runtime's (model.onnx) and transformers' (model.safetensors), both loaded from the folder
written; and, where the source is a folder that transformers reads with its head, against transformers with the source itself. Fails
where one is above 1e-4.
"""
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import onnxruntime
import torch
from transformers import AutoModelForQuestionAnswering, AutoTokenizer
from transformers.utils import logging

logging.set_verbosity_error()
torch.set_num_threads(2)
command, *sources = sys.argv[1:]
worst = 0.0
for source in sources:
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "model"
        done = subprocess.run([command, "export", "--model", source, "--output", folder], check=True, capture_output=True, text=True)
        print(done.stdout.replace(place, "…"), end="")
        model = AutoModelForQuestionAnswering.from_pretrained(folder).eval()
        tokenizer = AutoTokenizer.from_pretrained(folder)
        assert type(model).__name__ == "DistilBertForQuestionAnswering", type(model)
        rng = np.random.default_rng(1)
        longest = min(128, model.config.max_position_embeddings)
        lengths = rng.integers(2, longest + 1, 8)
        lengths[0] = longest
        mask = (np.arange(longest)[None] < lengths[:, None]).astype(np.int64)
        ids = rng.integers(0, len(tokenizer), (8, longest)) * mask
        batch = {"input_ids": ids, "attention_mask": mask}
        session = onnxruntime.InferenceSession(folder / "model.onnx", providers=["CPUExecutionProvider"])
        runtime = dict(zip([output.name for output in session.get_outputs()], session.run(None, batch)))
        rows = Path(place) / "batch.json"
        rows.write_text(json.dumps({name: values.tolist() for name, values in batch.items()}))
        printed = subprocess.run(
            [command, "logits", "--model", folder, "--precision", "float32", "--input", rows], check=True, capture_output=True, text=True)
        engine = {name: np.array(values, float) for name, values in json.loads(printed.stdout).items()}
        others = {"ONNX Runtime": runtime}
        tensors = {name: torch.from_numpy(values) for name, values in batch.items()}
        models = {"transformers": model}
        if Path(source).is_dir() and "fresh" not in done.stdout:
            models["transformers with the source"] = AutoModelForQuestionAnswering.from_pretrained(source).eval()
        for name, torch_model in models.items():
            with torch.inference_mode():
                output = torch_model(**tensors)
            others[name] = {key: output[key].numpy() for key in engine}
        for name, logits in others.items():
            difference = max(np.abs(logits[key] - engine[key])[mask == 1].max() for key in engine)
            worst = max(worst, difference)
            print(f"  {difference:.2e} from {name} (logits up to {max(np.abs(logits[key]).max() for key in engine):.1f})")
print(f"the greatest difference is {worst:.2e}")
sys.exit(int(worst > 1e-4))
