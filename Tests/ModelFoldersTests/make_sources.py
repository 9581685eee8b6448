"""Goldens of models to start from: small random ones as transformers and PyTorch save them, in folders as the hub has them.

    python make_sources.py     (torch 2.13.0, transformers 4.57.6, safetensors 0.8.0)

Writes into Goldens/: distilbert/ (a DistilBertForQuestionAnswering, model.safetensors), bert-qa/ (a BertForQuestionAnswering,
pytorch_model.bin), bert/ (a BertModel with a pooler and no head, model.safetensors in float16, tokenizer.json alone), and expected.json
with what each computes for a few ids: start and end logits, or the hidden state.
"""
import json
import shutil
from pathlib import Path

import torch
from transformers import (
    BertConfig, BertForQuestionAnswering, BertModel, BertTokenizerFast, DistilBertConfig, DistilBertForQuestionAnswering)

torch.manual_seed(88)
torch.set_num_threads(1)
goldens = Path(__file__).parent / "Goldens"
ids = torch.tensor([[2, 7, 5, 8, 3, 9, 6, 10, 3]])
tokens = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "who", "sang", "##s", "anna", "song", "."]
expected = {"ids": ids[0].tolist()}
bert_sizes = dict(
    vocab_size=11, hidden_size=8, num_attention_heads=2, intermediate_size=12, num_hidden_layers=2, max_position_embeddings=16)


def folder(name, model):
    """An empty folder with the model's configuration and vocabulary; the model gets weights far from their start."""
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.2)
    place = goldens / name
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True)
    (place / "vocab.txt").write_text("\n".join(tokens) + "\n")
    return place, model.eval()


sizes = DistilBertConfig(
    vocab_size=11, dim=8, n_heads=2, hidden_dim=12, n_layers=2, max_position_embeddings=16, dropout=0.2, attention_dropout=0.3,
    qa_dropout=0.4)
place, model = folder("distilbert", DistilBertForQuestionAnswering(sizes))
model.save_pretrained(place)
(place / "tokenizer_config.json").write_text('{"do_lower_case": true, "model_max_length": 16, "tokenizer_class": "DistilBertTokenizer"}\n')
output = model(ids)
expected["distilbert"] = [output.start_logits[0].tolist(), output.end_logits[0].tolist()]

place, model = folder("bert-qa", BertForQuestionAnswering(BertConfig(**bert_sizes)))
torch.save(model.state_dict(), place / "pytorch_model.bin")
model.config.save_pretrained(place)
output = model(ids)
expected["bert-qa"] = [output.start_logits[0].tolist(), output.end_logits[0].tolist()]

place, model = folder("bert", BertModel(BertConfig(**bert_sizes, layer_norm_eps=1e-5)))
model.half().save_pretrained(place)
expected["bert"] = model.float()(ids).last_hidden_state[0].flatten().tolist()
BertTokenizerFast(vocab_file=str(place / "vocab.txt")).save_pretrained(place)
for name in ["vocab.txt", "tokenizer_config.json", "special_tokens_map.json"]:
    (place / name).unlink(missing_ok=True)

(goldens / "expected.json").write_text(json.dumps(expected) + "\n")
