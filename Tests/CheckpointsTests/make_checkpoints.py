"""Goldens of checkpoint files: one small random model as transformers and PyTorch write it.

    python make_checkpoints.py     (torch 2.15.0, transformers 4.57.6, safetensors 0.8.0)

Writes into Goldens/: distilbert.safetensors and distilbert.bin (DistilBertForQuestionAnswering), bert.bin (BertModel with a pooler, in
float16), config files, and expected.json with what models must compute for a few ids.
"""
import json
from pathlib import Path

import torch
from safetensors.torch import save_file
from transformers import BertConfig, BertModel, DistilBertConfig, DistilBertForQuestionAnswering

torch.manual_seed(8)
torch.set_num_threads(1)
folder = Path(__file__).parent / "Goldens"
ids = torch.tensor([[2, 7, 1, 8, 2, 8, 1]])
expected = {"ids": ids[0].tolist()}


def randomize(model):
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.2)
    return model.eval()


config = DistilBertConfig(vocab_size=11, dim=8, n_heads=2, hidden_dim=12, n_layers=2, max_position_embeddings=9)
model = randomize(DistilBertForQuestionAnswering(config))
state = model.state_dict()
save_file(state, folder / "distilbert.safetensors", metadata={"format": "pt"})
torch.save(state, folder / "distilbert.bin")
(folder / "distilbert.json").write_text(config.to_json_string())
output = model(ids)
expected["distilbert"] = torch.stack([output.start_logits[0], output.end_logits[0]], -1).flatten().tolist()

config = BertConfig(
    vocab_size=11, hidden_size=8, num_attention_heads=2, intermediate_size=12, num_hidden_layers=1, max_position_embeddings=9)
model = randomize(BertModel(config)).half()
torch.save(model.state_dict(), folder / "bert.bin")
(folder / "bert.json").write_text(config.to_json_string())
expected["bert"] = model.float()(ids).last_hidden_state[0].flatten().tolist()

(folder / "expected.json").write_text(json.dumps(expected) + "\n")
