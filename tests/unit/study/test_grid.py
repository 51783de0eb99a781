"""The grid of a study: its cells and systems, who teaches whom, and what the catalogues derive."""

import pytest

from redistil.study import artefacts as study
from redistil.study import grid
from tests.made.configs import config_of, put, refusal, resolved


@pytest.fixture
def config():
    return config_of("embedded")


def test_what_teaches_a_first_stage_is_trained_too_and_never_taught_by_the_second(config):
    put(config, "losses dual-ranknet after", "margin-mse")
    put(config, "sources ranked-lists", {"negatives": "pydocs-lists", "passages": 16})
    put(config, "grid losses", ["dual-ranknet"])
    put(config, "grid teachers", [])
    study.resolve(config)
    assert set(study.teacher_cells(config)) == {"pydocs-bert", "pydocs-modernbert"}
    put(config, "teachers pydocs-bert model loss", "dual-ranknet")
    assert "learns from itself" in refusal(config)


PUPIL = {"student": "tiny-bert", "loss": "margin-mse", "seed": 7}


def test_a_teacher_may_be_taught_by_another(config):
    put(config, "teachers pupil", {"model": {**PUPIL}, "over": ["pydocs-lists"]})
    put(config, "sources ranked-lists teacher", "pupil")
    put(config, "training sizes tiny batch lists", 4)
    put(config, "grid losses", ["adr-mse"])
    put(config, "grid teachers", [])
    study.resolve(config)
    assert set(study.teacher_cells(config)) == {"pupil", "pydocs-bert", "pydocs-modernbert"}
    assert ("train", "tiny-bert/margin-mse/7") in study.settings_of(config)


def test_the_paper_has_its_grid():
    config = resolved("morand2026")
    cells = study.grid_cells(config)
    assert len(cells) == len(set(cells)) == 9 * 6 * 3
    assert len(config["grid"]["datasets"]) == len(set(config["grid"]["datasets"])) == 22
    assert study.teacher_cells(config) == {}
    assert sum(made == "rerank" for made, _ in study.settings_of(config)) == 9 * 6 * 3 * 22


def test_the_study_of_architectures_has_its_trainings():
    """Six students x three supervisions, three of them x two more losses, and three teachers."""
    config = resolved("hofstatter2020")
    cells = study.grid_cells(config)
    main = [cell for cell in cells if cell.loss in ("ranknet", "margin-mse-t1", "margin-mse-t2")]
    ablated = [cell for cell in cells if cell not in main]
    assert (len(main), len(ablated), len(study.teacher_cells(config))) == (18, 6, 3)
    assert len(set(study.trained_cells(config))) == 18 + 6 + 3
    teachers = {study.teachers_behind(config, cell.loss)[0] for cell in ablated}
    assert teachers == {*study.teachers_behind(config, "margin-mse-t1")}


def test_a_loss_may_have_fewer_students(config):
    config["grid"] |= {"students": ["s", "t"], "losses": ["bce", "kl"], "seeds": [7]}
    config["grid"]["fewer_students"] = {"kl": ["t", "u"]}
    names = [cell.name for cell in study.grid_cells(config)]
    assert names == ["s/bce/7", "t/bce/7", "t/kl/7"]


@pytest.mark.parametrize(
    ("fewer", "message"),
    [
        ({"bec": ["tiny-bert"]}, "grid.fewer_students: no losses entry 'bec'"),
        ({"bce": ["tiny-bart"]}, "grid.fewer_students: no students entry 'tiny-bart'"),
        ({"bce": ["bert-base"]}, "grid.fewer_students: 'bce' teaches no student of the grid"),
        ({"bce": []}, "grid.fewer_students.bce"),
    ],
)
def test_a_loss_must_teach_somebody(config, fewer, message):
    put(config, "grid fewer_students", fewer)
    assert message in refusal(config)


def test_a_student_may_have_fewer_seeds(config):
    config["grid"] |= {"students": ["s", "t"], "losses": ["bce"], "seeds": [7, 8, 9]}
    config["grid"]["fewer_seeds"] = {"t": 2}
    names = [cell.name for cell in study.grid_cells(config)]
    assert names == ["s/bce/7", "s/bce/8", "s/bce/9", "t/bce/7", "t/bce/8"]


@pytest.mark.parametrize(
    ("fewer", "message"),
    [
        ({"tiny-bart": 1}, "grid.fewer_seeds: no students entry 'tiny-bart'"),
        ({"tiny-bert": 0}, "grid.fewer_seeds.tiny-bert"),
    ],
)
def test_impossible_numbers_of_seeds_are_refused(config, fewer, message):
    put(config, "grid fewer_seeds", fewer)
    assert message in refusal(config)


def test_the_systems_are_baselines_teachers_and_students(config):
    config["grid"] |= {"students": ["s", "t"], "losses": ["bce", "kl"], "seeds": [1, 2]}
    systems = study.systems(config)
    kinds = [system.kind for system in systems]
    assert kinds == ["random"] + ["first stage"] * 2 + ["teacher"] * 3 + ["student"] * 8
    assert systems[0] == study.System("random/1", "random", seed=1)
    assert systems[1] == study.System("bm25", "first stage")
    assert systems[-1] == study.System("t/kl/2", "student", "t", "kl", 2)


WORDS = [
    ({"student": "tiny-bert"}, {"backbone": "tiny-bert"}),
    ({"student": "tiny-bert-teacher"}, {"backbone": "tiny-bert"}),
    (
        {"loss": "infonce"},
        {"negatives": "pydocs-lists", "teacher": None, "dataset": "pydocs-train"}
        | {"corpus": "pydocs", "first_stage": "bm25"},
    ),
    ({"loss": "margin-mse"}, {"negatives": "pydocs-triples", "teacher": "pydocs-mean"}),
    ({"dataset": "pydocs-held-out"}, {"corpus": "pydocs-held-out"}),
    ({"negatives": "t2"}, {"dataset": "msmarco-train", "first_stage": None}),
    ({"built": "tiny-splade"}, {"dataset": "pydocs-train", "corpus": "pydocs"}),
    ({"splade": "tiny-splade", "corpus": "fiqa"}, {"backbone": "tiny-splade", "corpus": "fiqa"}),
    ({"loss": "bce", "dataset": "pydocs-dev"}, {"dataset": "pydocs-dev", "corpus": "pydocs"}),
]


@pytest.mark.parametrize(("known", "derived"), WORDS)
def test_words_follow_from_the_catalogues(config, known, derived):
    assert study.words(config, **known).items() >= derived.items()


def test_numbers_come_from_what_entries_name():
    names = grid.needed(resolved("embedded"))
    assert names["datasets"] == {"pydocs-train", "pydocs-dev", "pydocs-test", "pydocs-held-out"}
    members = {"pydocs-bert", "pydocs-modernbert", "pydocs-bm25"}
    assert names["teachers"] == {"pydocs-mean", *members}
    assert names["students"] >= {"tiny-bert-teacher"} and "msmarco-passage" not in names["corpora"]
    assert names["first_stages"] == {"tiny-splade", "bm25"}


def test_what_could_be_scored_besides_is_not_needed(config):
    config["negatives"]["more"] = config["negatives"]["pydocs-lists"] | {"seed": 2}
    put(config, "teachers pydocs-bert over", ["pydocs-lists", "pydocs-triples", "more"])
    assert grid.needed(resolved(config))["negatives"] == {"pydocs-lists", "pydocs-triples"}


def test_the_ticks_of_a_sweep_end_at_the_depth():
    assert study.sweep_depths(20) == [0, 1, 2, 5, 10, 20]
    assert study.sweep_depths(1) == [0, 1]
    assert study.sweep_depths(1000)[-3:] == [200, 500, 1000]


def test_a_test_sets_ids_are_compared_within_its_corpus_only(config):
    """Elsewhere they are numbers that mean nothing here."""
    apart = study.test_sets(resolved("morand2026"), "msmarco-train")
    assert apart.same_corpus == ["dev-small", "dl19", "dl20"] and len(apart.elsewhere) == 19
    apart = study.test_sets(config, "pydocs-train")
    assert apart == study.KeptApart(["pydocs-test"], ["pydocs-held-out"])
    config["grid"]["datasets"], config["kept_apart"] = ["pydocs-test"], ["dl19"]
    apart = study.test_sets(config, "pydocs-train")
    assert apart == study.KeptApart(["pydocs-test"], ["dl19"])


def test_groups_follow_from_what_is_trained_on(config):
    assert "groups" not in config
    groups = {"In domain": ["pydocs-test"], "Out of domain": ["pydocs-held-out"]}
    assert resolved(config).groups == groups
    config["grid"]["datasets"] = ["dl19"]
    assert resolved(config).groups == {"Out of domain": ["dl19"]}
    config["groups"] = {"Deep Learning": ["dl19"]}
    assert resolved(config).groups == {"Deep Learning": ["dl19"]}
