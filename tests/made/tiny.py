"""A house in small for the tests of single stages: a few texts, tiny checkpoints, a model."""

from pathlib import Path

import torch

from redistil.learning import students
from redistil.learning.students.checkpoints import load_tokenizer
from redistil.seeds import generator
from redistil.stages.backbones.networks import network
from redistil.stages.backbones.vocabularies import vocabulary
from redistil.storage import lineage, ragged
from redistil.storage.lineage import Made

WORDS = "alpha beta gamma delta sparse dense rank query passage tensor graph table".split()
MADE = Made("test", "test")


def texts(count, name, words=6):
    """Return ids and texts of random words: the same for the same name."""
    rng = generator(1, name)
    return {f"{name}{i}": " ".join(rng.choice(WORDS, words).tolist()) for i in range(count)}


def record(folder, command, name, **settings):
    lineage.record(Made(command, name, settings), folder)


def checkpoint(folder, family="bert", layers=1):
    """Write a random encoder of `family` and its tokenizer, as `build` would."""
    folder.mkdir(parents=True)
    torch.manual_seed(1)
    tokenizer = vocabulary(family, WORDS * 3, 300)
    model = network(family, tokenizer, layers=layers, width=16, heads=2)
    (model if family == "splade" else model.base_model).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    record(folder, "build", folder.name)
    return folder


def tokens(path, checkpoint, texts, longest=64):
    """Write the token file of some texts under the tokenizer of a checkpoint."""
    tokenizer = load_tokenizer(checkpoint)
    ids = tokenizer(list(texts.values()), add_special_tokens=False)["input_ids"]
    with ragged.writer(path, MADE) as append:
        append(list(texts), [row[:longest] for row in ids])
    return path


def recipe(**changed):
    """Return the recipe of a training of two steps on lists."""
    return {
        "student": "tiny",
        "architecture": "cat",
        "backbone": "bert",
        "loss": "infonce",
        "objective": "infonce",
        "options": {"temperature": 1.0},
        "seed": 1,
        "predecessor": None,
        "negatives": "mined",
        "teacher": None,
        "passages": 3,
        "batch": 2,
        "steps": 2,
        "warmup_steps": 1,
        "learning_rate": 1e-2,
        "schedule": "linear",
        "epsilon": 1e-8,
        "weight_decay": 0.0,
        "clip_norm": 1.0,
        "query_length": 16,
        "passage_length": 16,
        "pair_length": 35,
        "pair_form": "native",
        "precision": "float32",
        "memory": {"at_once": 4096, "held": 16384},
        "compile": False,
        "validation": None,
    } | changed


def model(folder: Path, backbone, seed=1):
    """Write a student with a random head, as `train` would."""
    settings = recipe(seed=seed)
    folder.mkdir(parents=True)
    students.new(settings, backbone, seed).save(folder)
    record(folder, "train", folder.name, **settings)
    return folder
