"""Cost of a study before it runs: the arithmetic, by hand."""

import pytest

from redistil.errors import BadSettings
from redistil.study import plan
from redistil.study.artefacts import recipe, trained_cells
from redistil.study.overlays import leave_out
from redistil.study.plan import Counts, Machine, Work
from tests.made.configs import STUDIES, resolved

NONE = Counts({}, {})


def test_hours_by_hand():
    work = Work("models", jobs=1, learnt=6_000 * 3600, scored=2 * 20_000 * 3600)
    assert work.hours(Machine("H200", ranking=20_000, training=6_000)) == 3.0


def test_a_machine_is_read():
    assert plan.machine("H200=20000,6000") == Machine("H200", 20_000, 6_000)


@pytest.mark.parametrize("words", ["H200", "H200=1", "H200=0,5", "=1,2", "H200=a,b"])
def test_other_words_are_refused(words):
    with pytest.raises(BadSettings, match="--on: wanted a machine"):
        plan.machine(words)


def test_trainings_are_counted_by_cell():
    study = resolved("embedded")
    recipes = [recipe(study, cell) for cell in trained_cells(study)]
    learnt = sum(one.steps * one.batch * one.passages for one in recipes)
    assert plan.trainings(study, NONE).learnt == learnt > 0
    assert plan.trainings(study, NONE).scored == 0


def test_validations_add_pairs():
    study = resolved("embedded")
    how = study.training.validation
    (dataset,) = how.datasets
    steps = [recipe(study, cell).steps for cell in trained_cells(study)]
    rounds = sum(-(-one // how.every) for one in steps)
    counts = Counts({dataset: 10}, {})
    assert plan.trainings(study, counts).scored == rounds * 10 * how.depth


# what `snakemake -n` counts, but for its rule `all`, where no licensed text is in place
COUNTED = {
    "architectures": 422,
    "embedded": 255,
    "hofstatter2020": 350,
    "morand2026": 4797,
    "morand2026-rerun": 789,
    "published-checkpoints": 1182,
    "rank-distillm": 100,
}


@pytest.mark.parametrize("name", STUDIES)
def test_every_study_has_its_jobs(name, monkeypatch, tmp_path):
    monkeypatch.setenv("IR_DATASETS_HOME", str(tmp_path))
    study, _ = leave_out(resolved(name), tmp_path)
    assert plan.jobs(study).total() == pytest.approx(COUNTED[name], rel=0.01)


def test_the_full_study_has_its_jobs():
    study = resolved("morand2026")
    jobs = plan.jobs(study)
    assert (jobs["train"], jobs["rerank"]) == (9 * 6 * 3, 9 * 6 * 3 * 22)
    assert (jobs["download"], jobs["import-run"], jobs["collect-words"]) == (3, 1, 0)
    assert jobs.total() == pytest.approx(4983, rel=0.01)  # with Robust04


def test_no_run_is_counted_that_nobody_asks_for():
    study = resolved("embedded")  # trains two teachers that are cells of no grid
    runs = plan.jobs(study)["rerank"]
    assert plan.rerankings(study, NONE).jobs == runs == 78


def test_teachers_score_the_pairs_of_their_negatives():
    study = resolved("embedded")
    of_negatives = {}
    for name in ("pydocs-triples", "pydocs-lists"):
        negatives = study.negatives[name]
        of_negatives[name] = negatives.at_most * (1 + negatives.per_query)
    over = study.teachers["pydocs-bert"].over
    scored = plan.scorings(study, NONE).scored
    assert scored == 2 * sum(of_negatives[name] for name in over)  # its two models
    few = Counts({"pydocs-train": 1}, {})
    assert plan.scorings(study, few).scored < scored


def test_passages_are_encoded_once_for_each_encoder():
    study = resolved("morand2026")
    sets = [*study.grid.datasets, *study.validation.datasets]
    corpora = {study.datasets[name].corpus for name in sets}
    counts = Counts({}, dict.fromkeys(study.corpora, 10))
    assert plan.encodings(study, counts).encoded == 10 * len(corpora)
    assert plan.states(study, counts).encoded == 0


def test_pairs_of_a_published_file_are_unknown():
    assert "t1" in plan.unknown(resolved("hofstatter2020"), NONE)


def test_uncounted_datasets_are_named():
    study = resolved("embedded")
    missing = plan.unknown(study, NONE)
    assert set(study.grid.datasets) <= set(missing)
    counted = dict.fromkeys(missing, 1)
    assert plan.unknown(study, Counts(counted, counted)) == []


@pytest.mark.parametrize("name", STUDIES)
def test_every_study_has_a_plan(name):
    study = resolved(name)
    works = [plan.trainings(study, NONE), plan.rerankings(study, NONE), plan.tokens(study, NONE)]
    assert plan.together(works).jobs == sum(work.jobs for work in works) > 0
    assert plan.jobs(study)["evaluate"] > 0 and plan.unknown(study, NONE)
