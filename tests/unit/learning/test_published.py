"""The published checkpoints of arXiv 2010.02666: files with their keys and shapes, by name."""

import json
import re

import pytest
import torch
from safetensors.torch import save_file
from transformers import AutoModel, DistilBertConfig, DistilBertModel

from redistil.errors import BadSource
from redistil.learning import students
from redistil.learning.students import published as names
from tests.made.checkpoints import write_tokenizer
from tests.made.students import PASSAGES, QUERIES, ids, settings_of

pytestmark = pytest.mark.usefixtures("quiet")
SHAPE = {"dim": 16, "n_layers": 2, "n_heads": 2, "hidden_dim": 32, "max_position_embeddings": 64}


def published(folder, architecture):
    """Write the weights of a checkpoint under the authors' names; return encoder and map."""
    folder.mkdir()
    size = write_tokenizer("distilbert", folder)["size"]
    torch.manual_seed(3)
    config = DistilBertConfig(**SHAPE, vocab_size=size, initializer_range=0.4)
    encoder = DistilBertModel(config).eval()
    config.save_pretrained(folder)
    prefix = "bert_model." if architecture in ("colbert", "cat-linear") else ""
    weights = {prefix + name: weight for name, weight in encoder.state_dict().items()}
    head = None
    if architecture == "colbert":
        head = torch.nn.Linear(16, 6)
        weights |= {f"compressor.{name}": weight for name, weight in head.state_dict().items()}
    if architecture == "prettr":
        head = torch.nn.Linear(16, 1, bias=False)
        weights["_classification_layer.weight"] = head.weight
    if architecture == "cat-linear":
        head = torch.nn.Linear(16, 1)
        for name, weight in head.state_dict().items():
            weights[f"_classification_layer.{name}"] = weight
    own = {name: weight.detach().clone() for name, weight in weights.items()}
    save_file(own, folder / "model.safetensors", metadata={"format": "pt"})
    return encoder, head


# --- at full size, of which no number is held -----------------------------------------------------

LINEAR = {"weight": (768, 768), "bias": (768,)}
NORM = {"weight": (768,), "bias": (768,)}
LAYER = {f"attention.{name}_lin": LINEAR for name in ("q", "k", "v", "out")} | {
    "sa_layer_norm": NORM,
    "ffn.lin1": {"weight": (3072, 768), "bias": (3072,)},
    "ffn.lin2": {"weight": (768, 3072), "bias": (768,)},
    "output_layer_norm": NORM,
}
EMBEDDINGS = {
    "embeddings.word_embeddings": {"weight": (30522, 768)},
    "embeddings.position_embeddings": {"weight": (512, 768)},
    "embeddings.LayerNorm": NORM,
}
HEADS = {
    "dot": {},
    "prettr": {"_classification_layer.weight": (1, 768)},
    "colbert": {"compressor.weight": (768, 768), "compressor.bias": (768,)},
    "cat-linear": {"_classification_layer.weight": (1, 768), "_classification_layer.bias": (1,)},
}
WRAPPED = ("colbert", "cat-linear")  # encoders that stand under `bert_model`


def keys_of_a_file(architecture):
    """Return names and shapes of a published file: DistilBERT's, six layers of 768, and a map."""
    parts = dict(EMBEDDINGS)
    for number in range(6):
        for name, weights in LAYER.items():
            parts[f"transformer.layer.{number}.{name}"] = weights
    keys = dict(HEADS[architecture])
    prefix = "bert_model." if architecture in WRAPPED else ""
    for part, weights in parts.items():
        for kind, shape in weights.items():
            keys[f"{prefix}{part}.{kind}"] = shape
    return keys


def called_here(name):
    """Return the name that a weight of theirs has in a student."""
    for prefix in names.HEADS:
        if name.startswith(prefix):
            return "head." + name.removeprefix(prefix)
    for pattern, instead in names.ENCODERS.items():
        name = re.sub(pattern, instead, name)
    return f"network.{name}"


@pytest.mark.parametrize("architecture", HEADS)
def test_full_size_has_the_keys_of_the_files(architecture):
    kind = students.ARCHITECTURES[architecture]
    changed = {"dimensions": 768} if architecture == "colbert" else {}
    with torch.device("meta"):
        network = DistilBertModel(DistilBertConfig())
        head = kind.head_on(network, kind.own(settings_of(architecture, **changed)))
    student = torch.nn.Module()
    student.network, student.head = network, head
    wanted = {name: tuple(weight.shape) for name, weight in student.state_dict().items()}
    theirs = keys_of_a_file(architecture)
    assert {called_here(name): shape for name, shape in theirs.items()} == wanted
    assert len(theirs) == 100 + len(HEADS[architecture])


# --- small files ----------------------------------------------------------------------------------


@pytest.mark.parametrize("architecture", ["cat-linear", "dot", "colbert", "prettr"])
def test_weights_are_taken_by_name(tmp_path, architecture):
    encoder, head = published(tmp_path / "theirs", architecture)
    student = students.adopt(settings_of(architecture), tmp_path / "theirs").eval()
    found = student.network.state_dict()
    for name, weight in encoder.state_dict().items():
        assert torch.equal(found[name], weight), name
    if head is not None:
        for name, weight in head.state_dict().items():
            assert torch.equal(student.head.state_dict()[name], weight)
    with torch.no_grad():
        student.save(tmp_path)
        plain = AutoModel.from_pretrained(tmp_path)
        scores = student.score(ids(student, *QUERIES), ids(student, *PASSAGES[:4]))
    assert torch.equal(plain.embeddings.LayerNorm.weight, encoder.embeddings.LayerNorm.weight)
    assert scores.isfinite().all() and scores.std() > 0


def test_another_projection_is_refused(tmp_path):
    published(tmp_path / "theirs", "colbert")
    with pytest.raises(BadSource, match=r"wanted a projection of shapes .*\(7, 16\).*found.*\(6,"):
        students.adopt(settings_of("colbert", dimensions=7), tmp_path / "theirs")
    with pytest.raises(BadSource, match="wanted a map to one score, without bias"):
        students.adopt(settings_of("prettr"), tmp_path / "theirs")


def test_configurations_of_theirs_are_fetched(tmp_path):
    """Their ColBERT says `model_type: ColBERT`, which transformers does not know."""
    from redistil.stages import backbones
    from tests.made.tiny import MADE

    published(tmp_path / "theirs", "colbert")
    said = {"model_type": "ColBERT", "bert_model": "distilbert-base-uncased"}
    (tmp_path / "theirs" / "config.json").write_text(json.dumps(said | {"compression_dim": 6}))
    backbones.fetch({"folder": str(tmp_path / "theirs")}, tmp_path / "fetched", MADE)
    config = json.loads((tmp_path / "fetched" / "config.json").read_text())
    assert config["model_type"] == "distilbert" and config["dim"] == 768
