"""Folders that will not do as checkpoints: each is refused in one sentence."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from transformers import AutoModel

from redistil.learning.students.cat import Cat
from redistil.learning.students.checkpoints import load_tokenizer
from tests.made.checkpoints import FORM, ROOMY, every_family, refused

pytestmark = pytest.mark.usefixtures("quiet")


@every_family
@pytest.mark.parametrize("kept", [[], ["tokenizer_config.json"]], ids=["nothing", "config"])
def test_a_folder_without_tokenizer_is_refused(checkpoints, family, kept, tmp_path):
    """Transformers would make up one that knows no word."""
    folder = tmp_path / family
    shutil.copytree(checkpoints[family], folder)
    for name in {"tokenizer.json", "tokenizer_config.json"} - set(kept):
        (folder / name).unlink()
    refused(lambda: load_tokenizer(folder), str(folder), "not a usable checkpoint")
    refused(lambda: Cat.new(folder, ROOMY | FORM, 1), str(folder), "not a usable checkpoint")


def no_weights(folder: Path) -> None:
    (folder / "model.safetensors").unlink()


def pickled_weights(folder: Path) -> None:
    network = AutoModel.from_pretrained(folder)
    (folder / "model.safetensors").unlink()
    torch.save(network.state_dict(), folder / "pytorch_model.bin")


def truncated_weights(folder: Path) -> None:
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])


def empty_weights(folder: Path) -> None:
    (folder / "model.safetensors").write_bytes(b"")


def no_config(folder: Path) -> None:
    (folder / "config.json").unlink()


def half_a_config(folder: Path) -> None:
    text = (folder / "config.json").read_text()
    (folder / "config.json").write_text(text[: len(text) // 2])


def unknown_architecture(folder: Path) -> None:
    (folder / "config.json").write_text('{"model_type": "nothing-of-this-name"}')


def other_shapes(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"hidden_size": 32}))


def another_architectures_weights(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"num_hidden_layers": 3}))


def half_a_tokenizer(folder: Path) -> None:
    text = (folder / "tokenizer.json").read_text()
    (folder / "tokenizer.json").write_text(text[: len(text) // 2])


def another_tokenizer_file(folder: Path) -> None:
    (folder / "tokenizer.json").write_text('{"added_tokens": [], "model": {"type": "Cat"}}')


def nothing_at_all(folder: Path) -> None:
    shutil.rmtree(folder)


@pytest.mark.parametrize(
    "harm",
    [
        no_weights,
        pickled_weights,
        truncated_weights,
        empty_weights,
        no_config,
        half_a_config,
        unknown_architecture,
        other_shapes,
        another_architectures_weights,
        half_a_tokenizer,
        another_tokenizer_file,
        nothing_at_all,
    ],
    ids=lambda harm: harm.__name__,
)
def test_an_unusable_folder_is_refused(checkpoints, harm, tmp_path):
    folder = tmp_path / "backbone"
    shutil.copytree(checkpoints["bert"], folder)
    harm(folder)
    refused(lambda: Cat.new(folder, ROOMY | FORM, 1), f"{folder} is not a usable checkpoint: ")


def test_only_new_students_draw_a_head(checkpoints, tmp_path):
    folder = tmp_path / "model"
    shutil.copytree(checkpoints["bert"], folder)
    (folder / "lengths.json").write_text(json.dumps(ROOMY))
    refused(lambda: Cat.load(folder), "2 weights of a BertForSequenceClassification", "classifier")
