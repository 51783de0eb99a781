"""Every architecture through the same commands: trained, resumed, validated, and refused."""

from pathlib import Path

import numpy as np
import pytest
import torch

from redistil.errors import BadSettings, BadSource, UserError
from redistil.learning import optimise, students
from redistil.machine.processes import Processes
from redistil.stages import models, runs
from redistil.stages.models.reading import Dataset, Inputs
from redistil.storage.lineage import Made
from redistil.storage.tables import CURVE, RUN
from redistil.study.architectures import ARCHITECTURES
from redistil.study.recipes import recipe as typed
from tests.made import tiny, trained
from tests.made.checkpoints import write_checkpoint
from tests.made.students import SETTINGS, own_settings, write_words

pytestmark = pytest.mark.usefixtures("quiet")
OTHERS = [name for name in ARCHITECTURES if name != "cat"]  # test_models.py trains that one
every_one = pytest.mark.parametrize("architecture", OTHERS)


@pytest.fixture(scope="module")
def house(tmp_path_factory):
    """A house with token files under an encoder of two layers, and under a vocabulary of words."""
    house = tmp_path_factory.mktemp("house")
    trained.write_house(house)
    write_checkpoint("distilbert", house / "encoder")
    tiny.record(house / "encoder", "fetch", "encoder")
    words = write_words(house / "w", texts=(*tiny.WORDS, "cat"))
    for name, folder in (("encoder", house / "encoder"), ("words", words)):
        tiny.tokens(house / f"{name}-q.arrow", folder, tiny.texts(4, "q", 4))
        tiny.tokens(house / f"{name}-d.arrow", folder, tiny.texts(12, "d", 8))
    return house


def recipe_of(architecture, **changed):
    asked = tiny.recipe(steps=4, validation=trained.validating())
    for key in ("pair_length", "pair_form"):
        del asked[key]
    backbone = "test" if architecture == "tk" else "encoder"
    own = {"architecture": architecture, "backbone": backbone, **own_settings(architecture)}
    own["options"] = {"temperature": 100.0}  # of scores so large no softmax would have a gradient
    return asked | own | changed


def train(house: Path, out: Path, architecture: str, **changed):
    recipe = recipe_of(architecture, **changed)
    name = "words" if architecture == "tk" else "encoder"
    queries, passages = house / f"{name}-q.arrow", house / f"{name}-d.arrow"
    judged = Dataset(
        "dev", house / "candidates.parquet", house / "qrels.parquet", queries, passages
    )
    backbone = house / "w" / "words" if architecture == "tk" else house / "encoder"
    inputs = Inputs(backbone, queries, passages, house / "lists.parquet", datasets=(judged,))
    out.mkdir(exist_ok=True)
    made = Made("train", "cell", recipe)
    models.train(typed(recipe), inputs, out, made, Processes("cpu"), checkpoint_every=2)
    return queries, passages


@every_one
def test_a_killed_training_ends_in_the_same_bytes(house, tmp_path, monkeypatch, architecture):
    train(house, tmp_path / "whole", architecture)
    calls, update = [], optimise._update

    def dying(*given):
        calls.append(given)
        if len(calls) == 4:
            raise KeyboardInterrupt
        update(*given)

    with monkeypatch.context() as patch:
        patch.setattr(optimise, "_update", dying)
        with pytest.raises(KeyboardInterrupt):
            train(house, tmp_path / "killed", architecture)
    train(house, tmp_path / "killed", architecture)
    whole, killed = (trained.weights(tmp_path / name) for name in ("whole", "killed"))
    assert whole == killed
    values = trained.values_of(tmp_path / "whole")
    assert values.keys() == {2, 4} and trained.values_of(tmp_path / "killed") == values


@every_one
def test_a_trained_student_re_ranks(house, tmp_path, architecture):
    tokens = train(house, tmp_path / "model", architecture)
    before = students.new(recipe_of(architecture), backbone_of(house, architecture), 1)
    found = students.load(tmp_path / "model").state_dict()
    moved = [name for name, weight in before.state_dict().items() if not weight.equal(found[name])]
    assert len(moved) > 5
    model = runs.Model(tmp_path / "model", *tokens)
    for precision in ("float32", "bfloat16"):
        out = tmp_path / f"{precision}.parquet"
        how = {"depth": 5, "precision": precision, "processes": Processes("cpu")}
        runs.rerank(house / "candidates.parquet", model, out, tiny.MADE, **how)
        scores = torch.tensor(RUN.read(out)["score"].to_pylist())
        assert len(scores) == 20 and scores.isfinite().all() and len(set(scores.tolist())) > 5


@every_one
def test_half_precision_trains_nearly_as_single(house, tmp_path, architecture):
    found = []
    for precision in ("float32", "bfloat16"):
        how = {"precision": precision, "steps": 8, "learning_rate": 1e-3}
        train(house, tmp_path / precision, architecture, **how)
        curve = CURVE.read(tmp_path / precision / "curve.parquet")
        found.append(np.stack([curve["positive_score"], curve["negative_score"]]))
    single, half = found
    apart = np.abs(half - single).max() / np.abs(single).max()
    # the logarithm of a nearly empty kernel magnifies what rounding does to a cosine
    assert 1e-6 < apart < (0.2 if architecture == "tk" else 0.05)


def backbone_of(house, architecture):
    return house / "w" / "words" if architecture == "tk" else house / "encoder"


REFUSED = {
    "split": (
        "prettr",
        {"split": 2},
        BadSettings,
        "split: the backbone has 2 layers, so that at m",
    ),
    "length": ("dot", {"passage_length": 63}, BadSettings, "passage_length: the backbone reads 64"),
    "heads": ("tk", {"heads": 3}, BadSettings, "heads: word vectors of 8 numbers cannot be shared"),
}


@pytest.mark.parametrize(("architecture", "changed", "kind", "said"), REFUSED.values(), ids=REFUSED)
def test_a_wrong_setting_writes_nothing(house, tmp_path, architecture, changed, kind, said):
    with pytest.raises(kind, match=said) as caught:
        train(house, tmp_path / "model", architecture, **changed)
    assert "\n" not in str(caught.value)
    assert not list((tmp_path / "model").iterdir())


def test_a_checkpoint_of_another_architecture(house, tmp_path):
    train(house, tmp_path / "model", "dot")
    line = ["adopt", tmp_path / "model" / "made.json", tmp_path / "out"]
    lengths = ["--query-length", 8, "--passage-length", 9]
    split = ["--architecture", "prettr", "--split", 1, "--offset", "fixed"]
    with pytest.raises(BadSource, match="is a checkpoint of another architecture: wanted a map"):
        trained.run(*line, *lengths, *split)
    with pytest.raises(BadSource, match="has no word vectors"):
        tk = ["--architecture", "tk"]
        for key, value in SETTINGS["tk"].items():
            tk += [f"--{key.replace('_', '-')}", value]
        trained.run(*line, *lengths, *tk)
    with pytest.raises(UserError, match="adopt --architecture colbert: .* needs `dimensions`"):
        trained.run(*line, *lengths, "--architecture", "colbert")
    with pytest.raises(UserError, match="adopt --architecture dot, split: unknown key"):
        trained.run(*line, *lengths, "--architecture", "dot", "--split", 1)
    assert not (tmp_path / "out").exists()
    trained.run(*line, *lengths, "--architecture", "dot")
    assert (tmp_path / "out" / "model.safetensors").exists()
