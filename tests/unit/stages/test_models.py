"""Training: what it leaves and what it refuses."""

import json

import numpy as np
import pytest
import torch
import yaml
from safetensors.torch import load_file
from transformers import AutoModelForSequenceClassification

from redistil.errors import Stale
from redistil.learning import students
from redistil.learning.history import History
from redistil.machine.processes import Processes
from redistil.stages import models
from redistil.stages.models.reading import Inputs
from redistil.storage import lineage
from redistil.storage.ragged import Ragged
from redistil.storage.tables import CURVE
from redistil.study.recipes import recipe as typed
from tests.made import tiny
from tests.made.trained import (
    COST,
    DISTILLING,
    LEFT,
    SECOND,
    run,
    train,
    validating,
    values_of,
    weights,
    write_house,
)


@pytest.fixture(scope="module")
def house(tmp_path_factory):
    return write_house(tmp_path_factory.mktemp("house"))


# --- what it leaves -----------------------------------------------------------------------------


def test_a_training_leaves_weights_tokenizer_curve_and_record(house, tmp_path):
    out = train(house, tmp_path / "m")
    assert {path.name for path in out.iterdir()} == LEFT | {COST}
    assert lineage.of(out).settings["loss"] == "infonce"
    assert json.loads((out / "lengths.json").read_text())["pair_length"] == 35
    curve = CURVE.read(out / "curve.parquet").to_pylist()
    assert [row["step"] for row in curve] == [1, 2]
    assert [row["learning_rate"] for row in curve] == [0.01, 0.01]
    assert all(row["loss"] > 0 and row["gradient_norm"] > 0 for row in curve)


def test_a_curve_has_the_mean_scores(house, tmp_path):
    """Far from its margin, hinge is that margin less the difference of the two means."""
    how = {"objective": "hinge", "options": {"margin": 50.0}, "passages": 2, "batch": 4}
    rows = CURVE.read(train(house, tmp_path / "m", **how) / "curve.parquet").to_pylist()
    for row in rows:
        assert row["loss"] == pytest.approx(50 - row["positive_score"] + row["negative_score"])
    assert len({row["positive_score"] for row in rows}) == len(rows) == 2


def test_only_the_first_process_asks_git(house, tmp_path, monkeypatch):
    monkeypatch.setattr(Processes, "first", False)
    monkeypatch.setattr(models, "commit", lambda: pytest.fail("another process asked"))
    assert not list(train(house, tmp_path / "m").iterdir())


def test_what_is_left_scores_as_it_was_trained(house, tmp_path):
    out = train(house, tmp_path / "m")
    student = students.load(out).eval()
    network = AutoModelForSequenceClassification.from_pretrained(out).eval()
    queries, passages = Ragged(house / "q.arrow"), Ragged(house / "d.arrow")
    with torch.inference_mode():
        ours = student.score([queries[0]], [passages[0]])
        texts = tiny.texts(4, "q", 4)["q0"], tiny.texts(12, "d", 8)["d0"]
        theirs = network(**student.tokenizer(*texts, return_tensors="pt")).logits[0]
    assert ours == pytest.approx(theirs, rel=1e-4)


def test_training_lowers_the_loss(house, tmp_path):
    out = train(house, tmp_path / "m", steps=40, batch=4, passages=5)
    losses = CURVE.read(out / "curve.parquet")["loss"].to_pylist()
    assert sum(losses[-10:]) < 0.8 * sum(losses[:10])


# --- validation -----------------------------------------------------------------------------------


def test_patience_ends_a_training_early(house, tmp_path):
    how = {"steps": 40, "learning_rate": 0.0, "batch": 4}
    values = values_of(train(house, tmp_path / "m", validation=validating(patience=3), **how))
    assert list(values) == [2, 4, 6, 8]


def test_data_sets_that_the_recipe_does_not_validate_on_are_refused(house, tmp_path):
    asked = validating() | {"datasets": {"other": 1}}
    with pytest.raises(Stale, match="validates on other, and --validate names dev"):
        train(house, tmp_path / "m", validation=asked)


# --- a second stage -------------------------------------------------------------------------------


def test_a_second_stage_starts_from_the_kept_weights_encoder_and_head(house, tmp_path, monkeypatch):
    how = {"steps": 12, "learning_rate": 0.1, "batch": 4}
    best = train(house, tmp_path / "best", validation=validating(), **how)
    assert (best / "last.safetensors").exists(), "the last is the best: this test sees nothing"
    monkeypatch.setattr(models, "optimise", lambda *args: History())
    tokens = house / "q.arrow", house / "d.arrow"
    inputs = Inputs(house / "bert", *tokens, house / "lists.parquet", predecessor=best)
    first = models._started(typed(tiny.recipe(**SECOND)), inputs).network.state_dict()
    kept = load_file(best / "model.safetensors")
    assert kept.keys() <= first.keys() and "classifier.weight" in kept
    assert all(torch.equal(first[name], value) for name, value in kept.items())
    untouched = train(house, tmp_path / "second", **SECOND)
    assert weights(untouched) == weights(house / "first") != weights(house / "bert")


def test_a_second_stage_is_trained_on(house, tmp_path):
    second = train(house, tmp_path / "second", "lists", "teacher", **DISTILLING | SECOND)
    alone = train(house, tmp_path / "alone", "lists", "teacher", **DISTILLING)
    assert len({weights(folder) for folder in (second, alone, house / "first")}) == 3


def test_a_second_stage_of_another_model_is_refused(house, tmp_path):
    for key, value in (("pair_length", 40), ("pair_form", "joined"), ("query_length", 8)):
        with pytest.raises(Stale, match=f"was trained with {key} = .* and the recipe that starts"):
            train(house, tmp_path / "m", **SECOND | {key: value})
    assert not list((tmp_path / "m").iterdir())


# --- seed and precision -----------------------------------------------------------------------


def test_the_head_is_drawn_from_the_seed_before_any_step(house, tmp_path, monkeypatch):
    monkeypatch.setattr(models, "optimise", lambda *args: History())
    once, other = (train(house, tmp_path / str(seed), seed=seed) for seed in (1, 2))
    assert weights(once) == weights(train(house, tmp_path / "again"))
    assert weights(once) != weights(other)


def test_half_precision_trains_nearly_as_single(house, tmp_path):
    how = {"steps": 10, "batch": 4, "passages": 5}
    losses = [
        CURVE.read(train(house, tmp_path / p, precision=p, **how) / "curve.parquet")["loss"]
        for p in ("float32", "bfloat16")
    ]
    assert losses[0] != losses[1]
    np.testing.assert_allclose(losses[0], losses[1], rtol=0.05)


# --- what it refuses ------------------------------------------------------------------------------


REFUSED = {
    "other negatives": ({"negatives": "others"}, None, "wants the negatives 'others'"),
    "another backbone": ({"backbone": "roberta"}, None, "wants the backbone 'roberta'"),
    "no teacher": (DISTILLING, None, "wants the teacher 'wise', and none was given"),
    "another teacher": (DISTILLING | {"teacher": "odd"}, "teacher", "wants the teacher 'odd'"),
    "no predecessor": ({"predecessor": "other"}, None, "wants the predecessor 'other'"),
    "a teacher unasked": ({}, "teacher", "wants the teacher None"),
}


@pytest.mark.parametrize(("changed", "teacher", "said"), REFUSED.values(), ids=REFUSED.keys())
def test_inputs_that_the_recipe_does_not_name_are_refused(house, tmp_path, changed, teacher, said):
    with pytest.raises(Stale, match=said):
        train(house, tmp_path / "m", scores=teacher, **changed)
    assert not list((tmp_path / "m").iterdir())


# --- the commands ---------------------------------------------------------------------------------


def test_the_commands_make_a_recipe_and_train_it(house, tmp_path):
    recipe = tiny.recipe()
    file, out = tmp_path / "recipe.yaml", tmp_path / "m"
    run("recipe", file, "--settings", json.dumps(recipe))
    assert yaml.safe_load(file.read_text()) == recipe
    inputs = [house / name for name in ("bert/made.json", "q.arrow", "d.arrow", "lists.parquet")]
    run("train", file, *inputs, out, "--device", "cpu", "--name", "tiny/infonce/1")
    assert weights(out) == weights(train(house, tmp_path / "direct"))
    made = lineage.of(out)
    assert made.who == "train tiny/infonce/1"
    assert lineage.canonical(made.settings) == lineage.canonical(recipe)
    assert "mine mined" in made.inputs and "build bert" in made.inputs
    second = recipe | {"predecessor": "tiny/infonce/1", "loss": "dual"}
    file.write_text(yaml.safe_dump(second))
    words = ["--predecessor", out / "made.json", "--device", "cpu", "--name", "tiny/dual/1"]
    run("train", file, *inputs, tmp_path / "second", *words)
    assert lineage.of(tmp_path / "second").inputs["train tiny/infonce/1"] == made.fingerprint
    assert weights(tmp_path / "second") != weights(out)
