"""Training: what it leaves, what it refuses, and that its bytes depend on its recipe alone."""

import json
import subprocess
import sys
import time

import numpy as np
import pytest
import torch
import yaml
from click.testing import CliRunner
from safetensors.torch import load_file
from transformers import AutoModelForSequenceClassification

from redistil import lineage, models, scoring, students
from redistil.cli import cli
from redistil.errors import BadTable, Stale
from redistil.history import History, Point
from redistil.lineage import Made
from redistil.models.reading import Dataset
from redistil.models.writing import curve
from redistil.processes import Processes
from redistil.ragged import Ragged
from redistil.tables import CURVE, LISTS, QRELS, RUN, TEACHER_SCORES, TRIPLES, VALIDATION
from tests.unit import tiny

LEFT = {
    "config.json",
    "curve.parquet",
    "lengths.json",
    "made.json",
    "model.safetensors",
    "tokenizer.json",
    "tokenizer_config.json",
    "validation.parquet",
}
COST = "cost.json"  # times differ from run to run


def write(path, table, rows, name):
    columns = dict(zip(table.schema.names, zip(*rows, strict=True), strict=True))
    table.write(table.rows(columns), path, Made("mine", name))
    return path


@pytest.fixture(scope="module")
def house(tmp_path_factory):
    folder = tmp_path_factory.mktemp("house")
    backbone = tiny.checkpoint(folder / "bert")
    tiny.tokens(folder / "q.arrow", backbone, tiny.texts(4, "q", 4))
    tiny.tokens(folder / "d.arrow", backbone, tiny.texts(12, "d", 8))
    pools = {f"q{i}": [f"d{(3 * i + j) % 12}" for j in range(5)] for i in range(4)}
    lists = [(q, docs, [1, 0, 0, 0, 0]) for q, docs in pools.items()]
    write(folder / "lists.parquet", LISTS, lists, "mined")
    triples = [(q, docs[0], d) for q, docs in pools.items() for d in docs[1:3]]
    write(folder / "triples.parquet", TRIPLES, triples, "mined")
    scores = [
        (q, d, float(len(q + d) - j)) for q, docs in pools.items() for j, d in enumerate(docs)
    ]
    write(folder / "teacher.parquet", TEACHER_SCORES, scores, "wise")
    write(folder / "short.parquet", TEACHER_SCORES, scores[:-2], "wise")
    run = [(q, d, 1, 0.0) for q, docs in pools.items() for d in docs]
    run = [(q, d, i % 5 + 1, 0.0) for i, (q, d, _, _) in enumerate(run)]
    write(folder / "candidates.parquet", RUN, run, "first/dev")
    qrels = [(q, docs[2], 1) for q, docs in pools.items()]
    write(folder / "qrels.parquet", QRELS, qrels, "dev")
    write(folder / "other.parquet", TEACHER_SCORES, [("elsewhere", "d0", 1.0)], "wise")
    train(folder, folder / "first", steps=3, learning_rate=0.1)
    return folder


def DEV(house):
    names = "candidates.parquet", "qrels.parquet", "q.arrow", "d.arrow"
    return Dataset("dev", *(house / name for name in names))


SECOND = {"predecessor": "cell", "seed": 1}
DISTILLING = {"objective": "margin-mse", "options": {}, "teacher": "wise"}


def train(house, out, pairs="lists", scores=None, **changed):
    recipe = tiny.recipe(**changed)
    out.mkdir(exist_ok=True)
    models.train(
        recipe,
        house / "bert",
        (house / "q.arrow", house / "d.arrow"),
        house / f"{pairs}.parquet",
        house / f"{scores}.parquet" if scores else None,
        [DEV(house)] if recipe["validation"] else [],
        out,
        Made("train", "cell", recipe),
        Processes("cpu"),
        house / "first" if recipe["predecessor"] else None,
    )
    return out


def weights(folder):
    return (folder / "model.safetensors").read_bytes()


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
    out = train(house, tmp_path / "m", steps=40, log_every=10, batch=4, documents=5)
    losses = CURVE.read(out / "curve.parquet")["loss"].to_pylist()
    assert losses[-1] < 0.8 * losses[0]


@pytest.mark.parametrize("negatives", ["lists", "triples"])
@pytest.mark.parametrize("teacher", ["teacher", None])
def test_triples_and_lists_train_with_labels_and_with_scores(house, tmp_path, negatives, teacher):
    options = DISTILLING if teacher else {}
    train(house, tmp_path / "m", negatives, teacher, **options)


def test_examples_carry_the_teachers_score_of_their_own_pair(house):
    files = [Ragged(house / f"{side}.arrow") for side in "qd"]
    scores = TEACHER_SCORES.read(house / "teacher.parquet").to_pylist()
    known = {(row["query_id"], row["doc_id"]): row["score"] for row in scores}
    for negatives in ("lists", "triples"):
        paths = house / f"{negatives}.parquet", house / "teacher.parquet"
        found = models.read_examples(*files, *paths, tiny.recipe(steps=9))
        for row, start in enumerate(found.offsets[:-1]):
            for place in range(start, found.offsets[row + 1]):
                pair = f"q{found.queries[row]}", f"d{found.passages[place]}"
                assert found.teacher[place] == np.float32(known[pair])


@pytest.mark.parametrize("negatives", ["lists", "triples"])
@pytest.mark.parametrize("teacher", ["teacher.parquet", None])
def test_a_short_training_reads_what_it_shows_and_shows_the_same(house, negatives, teacher):
    files = [Ragged(house / f"{side}.arrow") for side in "qd"]
    paths = house / f"{negatives}.parquet", house / teacher if teacher else None
    few = models.read_examples(*files, *paths, tiny.recipe(steps=1))
    every = models.read_examples(*files, *paths, tiny.recipe(steps=9))
    assert len(few.queries) == 2 < len(every.queries) == every.size == few.size
    ours, theirs = (each.batch(2, 3, 1, 0) for each in (few, every))
    for name in ("queries", "passages", "targets", "mask"):
        assert np.array_equal(getattr(ours, name), getattr(theirs, name)), name


def test_a_curve_is_the_mean_of_its_stretches():
    points = [Point(i, float(i), 2.0 * i, 0.1) for i in range(5)]
    rows = curve(points, 2).to_pylist()
    assert [row["step"] for row in rows] == [2, 4, 5]
    assert [row["loss"] for row in rows] == [0.5, 2.5, 4.0]
    assert [row["gradient_norm"] for row in rows] == [1.0, 5.0, 8.0]


# --- validation -----------------------------------------------------------------------------------


def validating(**changed):
    asked = {"datasets": {"dev": 1}, "first_stage": "first", "depth": 5, "every": 2}
    return asked | {"measure": "nDCG@10", "keep": "best", "patience": None} | changed


def values_of(folder):
    rows = VALIDATION.read(folder / "validation.parquet").to_pylist()
    assert {(row["dataset"], row["measure"]) for row in rows} <= {("dev", "nDCG@10")}
    return {row["step"]: row["value"] for row in rows}


def test_the_best_weights_are_the_model_and_the_last_lie_beside_them(house, tmp_path):
    how = {"steps": 12, "learning_rate": 0.1, "batch": 4}
    best = train(house, tmp_path / "best", validation=validating(), **how)
    last = train(house, tmp_path / "last", validation=validating(keep="last"), **how)
    values = values_of(best)
    assert list(values) == [2, 4, 6, 8, 10, 12] and values == values_of(last)
    step = max(values, key=lambda step: (values[step], -step))
    assert step < 12, "the last is the best: this test sees nothing"
    assert (best / "last.safetensors").read_bytes() == weights(last) != weights(best)
    assert not list(last.glob("last.*")) and not list(best.glob("best-*"))


def test_without_validation_there_is_no_row(house, tmp_path):
    assert not values_of(train(house, tmp_path / "m"))


def test_a_killed_validating_training_goes_on_to_the_same_bytes(house, tmp_path, monkeypatch):
    how = {"steps": 12, "learning_rate": 0.1, "batch": 4, "checkpoint_every": 5}
    whole = train(house, tmp_path / "whole", validation=validating(), **how)
    for step in (3, 6, 11):
        with monkeypatch.context() as patch, pytest.raises(Killed):
            patch.setattr(models, "learn", dying_at(step))
            train(house, tmp_path / "killed", validation=validating(), **how)
    resumed = train(house, tmp_path / "killed", validation=validating(), **how)
    assert {path.name for path in resumed.iterdir()} == {path.name for path in whole.iterdir()}
    for name in LEFT | {"last.safetensors"}:
        assert (whole / name).read_bytes() == (resumed / name).read_bytes(), name


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
    first = models._started(tiny.recipe(**SECOND), house / "bert", best).network.state_dict()
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


# --- the same bytes, or others --------------------------------------------------------------------


def test_a_seed_repeats_its_bytes_and_another_gives_others(house, tmp_path):
    once, again = train(house, tmp_path / "a"), train(house, tmp_path / "b")
    assert weights(once) == weights(again)
    for name in LEFT:
        assert (once / name).read_bytes() == (again / name).read_bytes(), name
    assert weights(train(house, tmp_path / "c", seed=2)) != weights(once)


def test_the_head_is_drawn_from_the_seed_before_any_step(house, tmp_path, monkeypatch):
    monkeypatch.setattr(models, "optimise", lambda *args: History())
    once, other = (train(house, tmp_path / str(seed), seed=seed) for seed in (1, 2))
    assert weights(once) == weights(train(house, tmp_path / "again"))
    assert weights(once) != weights(other)


class Killed(BaseException):
    """What a scheduler does to a job."""


def dying_at(step):
    """What learns from a batch, until a step (from 0) is asked for."""

    def learn(student, pairs, loss_of, room, precision, stream, processes):
        if stream[1] == step:
            raise Killed
        return scoring.learn(student, pairs, loss_of, room, precision, stream, processes)

    return learn


@pytest.mark.parametrize("stage", [{}, SECOND], ids=["first", "second"])
@pytest.mark.parametrize("after", [1, 3, 4])
def test_a_killed_training_goes_on_to_the_same_bytes(house, tmp_path, monkeypatch, after, stage):
    how = {"steps": 6, "checkpoint_every": 2} | stage
    whole = train(house, tmp_path / "whole", **how)
    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(models, "learn", dying_at(after))
        train(house, tmp_path / "killed", **how)
    kept = {path.name for path in (tmp_path / "killed").iterdir()}
    assert kept == ({"checkpoint.safetensors"} if after > 1 else set())
    resumed = train(house, tmp_path / "killed", **how)
    assert {path.name for path in resumed.iterdir()} == LEFT | {COST}
    for name in LEFT:
        assert (whole / name).read_bytes() == (resumed / name).read_bytes(), name


def test_the_state_of_another_training_is_thrown_away(house, tmp_path, monkeypatch):
    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(models, "learn", dying_at(2))
        train(house, tmp_path / "m", steps=4, seed=2)
    assert weights(train(house, tmp_path / "m", steps=4)) == weights(
        train(house, tmp_path / "fresh", steps=4)
    )


def test_a_command_killed_at_any_moment_ends_in_the_same_bytes(house, tmp_path):
    """SIGKILL, three times, whenever it comes: while a step is taken or a state is written."""
    how = {"steps": 60, "checkpoint_every": 3, "validation": validating(every=10)}
    (tmp_path / "recipe.yaml").write_text(yaml.safe_dump(tiny.recipe(**how)))
    inputs = [house / name for name in ("bert/made.json", "q.arrow", "d.arrow", "lists.parquet")]
    dev = [house / name for name in ("candidates.parquet", "qrels.parquet", "q.arrow", "d.arrow")]
    words = ["train", tmp_path / "recipe.yaml", *inputs, tmp_path / "killed", "--validate", "dev"]
    words += [*dev, "--device", "cpu", "--name", "cell"]
    command = [sys.executable, "-m", "redistil", *map(str, words)]
    rng, state = np.random.default_rng(5), tmp_path / "killed" / "checkpoint.safetensors"
    for _ in range(3):
        before = state.stat().st_mtime_ns if state.exists() else 0
        with subprocess.Popen(command, stderr=subprocess.DEVNULL) as job:
            while job.poll() is None and not (state.exists() and state.stat().st_mtime_ns > before):
                time.sleep(0.005)
            time.sleep(rng.uniform(0, 0.05))
            job.kill()
        assert job.returncode == -9, "it ended before it was killed: give it more steps"
    run(*words)
    whole = tmp_path / "whole"
    run(*[whole if word == tmp_path / "killed" else word for word in words])
    assert {path.name for path in whole.iterdir()} == {path.name for path in state.parent.iterdir()}
    for path in whole.iterdir():
        if path.name != COST:
            assert path.read_bytes() == (state.parent / path.name).read_bytes(), path.name


def test_half_precision_trains_nearly_as_single(house, tmp_path):
    how = {"steps": 10, "batch": 4, "documents": 5}
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


@pytest.mark.parametrize(("teacher", "missing"), [("short", 2), ("other", 20)])
def test_a_pair_that_the_teacher_did_not_score_is_refused(house, tmp_path, teacher, missing):
    with pytest.raises(BadTable, match=f"has no score for {missing} of 20 pairs of .*lists"):
        train(house, tmp_path / "m", scores=teacher, **DISTILLING)
    assert not list((tmp_path / "m").iterdir())


def test_neither_triples_nor_lists_are_refused(house, tmp_path):
    with pytest.raises(Stale, match="wants the negatives"):
        train(house, tmp_path / "m", pairs="teacher")
    with pytest.raises(BadTable, match="is not a table `triples`"):
        train(house, tmp_path / "m", pairs="teacher", negatives="wise")


@pytest.mark.parametrize("table", [LISTS, TRIPLES], ids=["lists", "triples"])
def test_an_empty_table_is_refused(house, tmp_path, table):
    table.write(table.schema.empty_table(), tmp_path / "none.parquet", Made("mine", "mined"))
    files = [Ragged(house / f"{side}.arrow") for side in "qd"]
    with pytest.raises(BadTable, match=f"has no {table.name.rstrip('s')} to train on"):
        models.read_examples(*files, tmp_path / "none.parquet", None, tiny.recipe())


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


def run(*words):
    result = CliRunner().invoke(cli, [str(word) for word in words])
    if result.exception:
        raise result.exception
