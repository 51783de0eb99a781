"""Files beside a model by which sentence-transformers 6 loads it."""

import json
from pathlib import Path
from typing import Any

from safetensors.torch import save_file
from torch import nn

from redistil.learning.students.texts import TextTemplate

_BASE = "sentence_transformers.base.modules"
_VECTORS = "sentence_transformers.sentence_transformer.modules"
_MULTI = "sentence_transformers.multi_vector_encoder.modules"
_TRANSFORMER = f"{_BASE}.transformer.Transformer"


def sentence_transformer(
    folder: Path, queries: TextTemplate, passages: TextTemplate, width: int
) -> None:
    """Describe a bi-encoder: the [CLS] state, compared by the inner product."""
    pooling = {"embedding_dimension": width, "pooling_mode": "cls", "include_prompt": True}
    write(folder / "1_Pooling" / "config.json", pooling)
    _write_modules(folder, ["", "1_Pooling"], [_TRANSFORMER, f"{_VECTORS}.pooling.Pooling"])
    _write_model(folder, "SentenceTransformer", "dot")
    _write_lengths(folder, queries, passages)


def multi_vector_encoder(
    folder: Path, queries: TextTemplate, passages: TextTemplate, projection: nn.Linear
) -> None:
    """Describe a late-interaction model: one projected vector for each token, none skipped."""
    dense = {
        "in_features": projection.in_features,
        "out_features": projection.out_features,
        "bias": projection.bias is not None,
        "activation_function": "torch.nn.modules.linear.Identity",
        "module_input_name": "token_embeddings",
        "module_output_name": "token_embeddings",
    }
    write(folder / "1_Dense" / "config.json", dense)
    weights = {}
    for name, weight in projection.state_dict().items():
        weights[f"linear.{name}"] = weight.detach().cpu().clone()
    save_file(weights, folder / "1_Dense" / "model.safetensors", metadata={"format": "pt"})
    mask = {"skiplist_words": [], "skiplist_tasks": ["document"], "keep_only_token_ids": None}
    write(folder / "2_MultiVectorMask" / "config.json", mask)
    kinds = [_TRANSFORMER, f"{_BASE}.dense.Dense", f"{_MULTI}.multi_vector_mask.MultiVectorMask"]
    _write_modules(folder, ["", "1_Dense", "2_MultiVectorMask"], kinds)
    _write_model(folder, "MultiVectorEncoder", "maxsim")
    _write_lengths(folder, queries, passages)


def write(path: Path, settings: Any) -> None:
    """Write settings as JSON, in a folder that may not be there yet."""
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(settings, indent=1, sort_keys=True) + "\n", encoding="utf-8")


def _write_modules(folder: Path, places: list[str], kinds: list[str]) -> None:
    modules = []
    for number, (place, kind) in enumerate(zip(places, kinds, strict=True)):
        modules.append({"idx": number, "name": str(number), "path": place, "type": kind})
    write(folder / "modules.json", modules)


def _write_model(folder: Path, kind: str, similarity: str) -> None:
    settings = {
        "model_type": kind,
        "prompts": {"query": "", "document": ""},
        "default_prompt_name": None,
        "similarity_fn_name": similarity,
    }
    write(folder / "config_sentence_transformers.json", settings)


def _write_lengths(folder: Path, queries: TextTemplate, passages: TextTemplate) -> None:
    """Say how the encoder is called, and where texts are cut: special tokens count there."""
    states = {"method": "forward", "method_output_name": "last_hidden_state"}
    settings = {
        "transformer_task": "feature-extraction",
        "modality_config": {"text": states},
        "module_output_name": "token_embeddings",
        "query_length": queries.longest,
        "document_length": passages.longest,
    }
    write(folder / "sentence_bert_config.json", settings)
