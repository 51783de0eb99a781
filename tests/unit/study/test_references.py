"""Names by which entries refer to each other: one that no catalogue has is refused."""

import pytest

from tests.made.configs import config_of, flat, put, refusal


@pytest.fixture
def config():
    return config_of("embedded")


NAMES = {
    "grid students": (["tiny-bret"], "grid.students: no students entry 'tiny-bret'", "tiny-bert"),
    "grid losses": (["infonse"], "grid.losses: no losses entry 'infonse'", "infonce"),
    "grid datasets": (["pydoc-test"], "grid.datasets: no datasets entry", "pydocs-test"),
    "grid teachers": (["pydocs-maen"], "grid.teachers: no teachers entry", "pydocs-mean"),
    "grid first_stage": ("tiny-spalde", "grid.first_stage: no first_stages entry", "tiny-splade"),
    "grid baselines": (["bm52"], "grid.baselines: no first_stages entry 'bm52'", "bm25"),
    "sources lists negatives": ("pydoc-lists", "sources.lists.negatives: no neg", "pydocs-lists"),
    "sources ranked-lists teacher": ("pydocs-men", "sources.ranked-lists.teacher:", "pydocs-mean"),
    "losses dual-ranknet after": ("infonse", "losses.dual-ranknet.after: no losses", "infonce"),
    "losses bce reads": ("triplets", "losses.bce.reads: no sources entry", "triples"),
    "datasets pydocs-test corpus": ("pydoc", "datasets.pydocs-test.corpus: no corpora", "pydocs"),
    "students tiny-bert backbone": ("tinybert", "students.tiny-bert.backbone:", "tiny-bert"),
    "students tiny-bert size": ("tinny", "students.tiny-bert.size: training.sizes has no", "tiny"),
    "first_stages tiny-splade encoder": ("splade", "first_stages.tiny-splade.enc", "tiny-splade"),
    "negatives pydocs-lists dataset": ("pydocs", "negatives.pydocs-lists.dataset:", "pydocs-"),
    "teachers pydocs-mean average": (["pydocs-bert", "x"], "teachers.pydocs-mean.average: no", ""),
    "teachers rankzephyr llm": (
        "rankzephir",
        "teachers.rankzephyr.llm: no backbones",
        "rankzephyr",
    ),
    "teachers minilm-l6 checkpoint": (
        "ms-marco-minilm",
        "teachers.minilm-l6.checkpoint: no checkpoints",
        "ms-marco-minilm-l",
    ),
    "exports t2-tevatron teacher": ("t-2", "exports.t2-tevatron.teacher: no teachers entry", "t2"),
    "training sizes tiny batch": ({"list": 4}, "training.sizes.tiny.batch: no sources", "lists"),
    "training sizes tiny steps": ({"list": 4}, "training.sizes.tiny.steps: no sources", "lists"),
    "kept_apart": (["dl-20"], "kept_apart: no datasets", "dl20"),
    "teachers t2 import": ("t2.tsv", "teachers.t2.import: no downloads entry", "t2-triples.tsv"),
    "backbones tiny-bert build corpus": ("pydoc", "backbones.tiny-bert.build.corpus:", "pydocs"),
    "teachers pydocs-bert model student": ("tiny", "teachers.pydocs-bert.model.student: no", "ti"),
}


@pytest.mark.parametrize(("path", "value", "said", "near"), flat(NAMES))
def test_a_name_that_no_catalogue_has_is_refused_with_the_nearest(config, path, value, said, near):
    put(config, path, value)
    sentence = refusal(config)
    assert sentence.startswith(said)
    assert f"did you mean '{near}" in sentence or not near
