"""Keys of a catalogue's entry: those that its kind reads, and no others."""

import copy

import pytest

from redistil.study import artefacts as study
from redistil.study import backbones, candidates, corpora, teachers
from tests.made.configs import config_of, flat, put, refusal


@pytest.fixture
def config():
    return config_of("embedded")


IGNORED = {
    "first_stages colbertv2 depth": (500, "an entry with `import` takes no other key"),
    "first_stages tiny-splade b": (0.4, "an entry with `encoder` takes depth, passage_length"),
    "first_stages bm25 shard": (9, "an entry with `k1` takes b, depth, stemmer"),
    "negatives t2 at_most": (9, "an entry with `teacher` takes dataset"),
    "negatives msmarco-docpairs depth": (9, "an entry with `docpairs` takes at_most, dataset, se"),
    "teachers rankzephyr-colbert-50 depth": (9, "an entry with `import` takes format"),
    "teachers rankzephyr-colbert-50 at_most": (9, "an entry with `import` takes format"),
    "teachers pydocs-mean over": (["pydocs-lists"], "an entry with `average` takes licence"),
    "teachers pydocs-bert passage_length": (9, "an entry with `model` takes licence, over"),
    "backbones tiny-bert lower_case": (True, "an entry with `build` takes licence"),
    "backbones tiny-bert build warmup flops": (
        0.1,
        "the warm-up of bert and modernbert takes",
    ),
    "backbones tiny-splade build warmup gate": (
        {"queries": 9, "depth": 9, "least": 0.5},
        "the warm-up of splade takes",
    ),
    "corpora pydocs licensed": ("x", "an entry with `pydocs` takes licence, passages"),
}


@pytest.mark.parametrize(("path", "value", "said"), flat(IGNORED))
def test_a_setting_that_its_kind_does_not_read_is_refused(config, path, value, said):
    put(config, path, value)
    assert refusal(config).startswith(f"{path.replace(' ', '.')}: {said}")


def test_the_nearest_key_that_the_kind_reads_is_named(config):
    put(config, "corpora pydocs licensed", "disks45/corpus")
    assert refusal(config).endswith(": did you mean 'licence'?")


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        ("backbones bert-base folder", "x", "backbones.bert-base: hub and folder: an entry is of"),
        ("first_stages tiny-splade k1", 0.9, "first_stages.tiny-splade: encoder and k1: an entry"),
        ("negatives t2 kind", "lists", "negatives.t2: kind and teacher: an entry is of one kind"),
        ("downloads t1-triples.tsv sha256", "a" * 64, "downloads.t1-triples.tsv: md5 and sha256:"),
        ("corpora fiqa folder", "x", "corpora.fiqa: irds and folder: an entry is of one kind"),
    ],
)
def test_an_entry_of_two_kinds_is_refused(config, path, value, said):
    put(config, path, value)
    assert refusal(config).startswith(said)


KINDS = {
    "corpora": corpora.CORPORA,
    "datasets": corpora.DATASETS,
    "downloads": corpora.DOWNLOADS,
    "backbones": backbones.BACKBONES,
    "first_stages": candidates.FIRST_STAGES,
    "negatives": candidates.NEGATIVES,
    "teachers": teachers.TEACHERS,
}
EVERY = [(catalogue, kind) for catalogue, kinds in KINDS.items() for kind in kinds]


def is_needed(kind, key):
    """Say whether an entry of a kind must have a key; what an architecture adds it must."""
    name = kind.names().get(key)
    return name is None or kind.model_fields[name].is_required()


@pytest.mark.parametrize(("catalogue", "kind"), EVERY)
def test_an_entry_needs_what_its_kind_reads(config, catalogue, kind):
    """The entries of params.yaml, each in turn without one of its keys."""
    for name, entry in copy.deepcopy(config[catalogue]).items():
        for key in entry if kind in entry else ():
            config[catalogue][name] = {k: v for k, v in entry.items() if k != key}
            said = f"{catalogue}.{name}: an entry with `{kind}` needs `{key}`"
            if key == kind:
                said = f"{catalogue}.{name}: of no kind: give it one of "
            if is_needed(KINDS[catalogue][kind], key):
                assert refusal(config).startswith(said)
            else:
                study.resolve(config)
        config[catalogue][name] = entry
