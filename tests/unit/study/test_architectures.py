"""Students of several architectures in one study: their settings, backbones and recipes."""

import pytest

from redistil.study import artefacts as study
from tests.made.configs import config_of, put, refusal

PRETTR = {"architecture": "prettr", "backbone": "tiny-bert", "size": "tiny", "split": 1}


@pytest.fixture
def config():
    config = config_of("embedded")
    put(config, "grid students", ["tiny-dot", "tiny-colbert", "tiny-prettr", "tiny-tk"])
    return config


def recipe_of(config, student):
    return study.recipe(study.resolve(config), study.Cell(student, "bce", 1))


def test_a_recipe_has_what_its_architecture_reads(config):
    lengths = {"query_length", "passage_length"}
    shared = recipe_of(config, "tiny-dot").stated().keys()
    assert lengths <= shared and not {"pair_length", "split", "masks"} & shared
    colbert = recipe_of(config, "tiny-colbert").stated()
    assert colbert.keys() - shared == {"dimensions", "masks", "mask_position", "spread"}
    assert recipe_of(config, "tiny-prettr").stated()["split"] == 1
    assert recipe_of(config, "tiny-tk").stated()["variant"] == "v2"


def test_settings_of_a_student_go_first(config):
    put(config, "training split", 1)
    put(config, "students tiny-prettr split", 2)
    put(config, "students tiny-dot query_length", 9)
    assert recipe_of(config, "tiny-prettr")["split"] == 2
    assert recipe_of(config, "tiny-dot")["query_length"] == 9
    assert recipe_of(config, "tiny-colbert")["query_length"] == 32
    del config["students"]["tiny-prettr"]["split"]
    assert recipe_of(config, "tiny-prettr")["split"] == 1


def test_recipes_of_cat_are_as_before():
    """No key of another architecture or schedule is in them: nothing is trained again."""
    keys = study.recipe(
        study.resolve(config_of("embedded")), study.Cell("tiny-bert", "bce", 1)
    ).stated()
    assert not {"stair", "dimensions", "split", "variant"} & keys.keys()
    assert "not_before" not in keys["validation"]


def test_a_cosine_in_stairs(config):
    put(config, "training optimiser schedule", "cosine")
    put(config, "training optimiser stair", 100)
    put(config, "training validation patience", 3)
    put(config, "training validation not_before", 50)
    recipe = recipe_of(config, "tiny-dot")
    assert (recipe.schedule, recipe.stair, recipe.validation.not_before) == ("cosine", 100, 50)


REFUSED = {
    "missing": ("tiny-prettr", {"split": None}, "training: the architecture prettr needs `split`"),
    "unknown": ("tiny-dot", {"dimensions": 8}, "students.tiny-dot.dimensions: unknown key"),
    "no layer": ("tiny-prettr", {"split": 0}, "students.tiny-prettr.split: wanted at least 1"),
    "offset": ("tiny-prettr", {"offset": "none"}, "students.tiny-prettr.offset: wanted one of"),
    "variant": ("tiny-tk", {"variant": "v3"}, "students.tiny-tk.variant: wanted one of 'v2'"),
    "too long": ("tiny-dot", {"passage_length": 1025}, "students.tiny-dot.passage_length: 1025 ex"),
    "words": (
        "tiny-tk",
        {"backbone": "tiny-bert"},
        "students.tiny-tk.backbone: tk reads one with `words`, and 'tiny-bert' is another kind",
    ),
    "pieces": (
        "tiny-dot",
        {"backbone": "tiny-words"},
        "students.tiny-dot.backbone: dot reads an encoder, and 'tiny-words' is another kind",
    ),
}


@pytest.mark.parametrize(("student", "changed", "said"), REFUSED.values(), ids=REFUSED)
def test_a_wrong_student_is_refused(config, student, changed, said):
    for key, value in changed.items():
        put(config, f"students {student} {key}", value)
        if value is None:
            del config["students"][student][key]
    assert refusal(config).startswith(said)


def test_words_have_settings_of_their_own(config):
    asked = study.settings_of(study.resolve(config))
    assert asked["collect-words", "tiny-words"] == {"width": 64, "least": 2, "seed": 1}
    put(config, "backbones tiny-words words corpora", ["nowhere"])
    assert refusal(config).startswith("backbones.tiny-words.words.corpora: no corpora entry 'nowh")
