"""Settings as people write them: numbers of YAML 1.2, and keys that stand once."""

import json
import re
import shutil
from datetime import date

import pytest
import yaml
from dvc.utils.hydra import apply_overrides

from redistil.errors import BadSettings
from redistil.storage import settings
from redistil.study import artefacts as study
from redistil.study.overlays import laid_on, overlay
from tests.made.configs import ROOT, config_of, put, refusal


@pytest.mark.parametrize(
    ("path", "given", "taken"),
    [
        ("training sizes tiny learning_rate", "1e-5", 1e-5),  # text in YAML 1.1
        ("training sizes tiny steps", 1.0e4, 10000),
        ("reranking depth", 5.0, 5),
        ("datasets pydocs-test relevant_from", 1.0, 1),
        ("grid fewer_seeds", {"tiny-bert": 2.0}, {"tiny-bert": 2}),
    ],
)
def test_a_number_is_taken_as_meant(path, given, taken):
    config = config_of("embedded")
    put(config, path, given)
    place = study.resolve(config)
    for key in path.split(" "):
        place = place[key]
    assert place == taken and repr(place) == repr(taken)


@pytest.mark.parametrize("given", [5.5, True, "5", "five"])
def test_what_is_no_whole_number_is_refused(given):
    config = config_of("embedded")
    put(config, "reranking depth", given)
    assert refusal(config).startswith(f"reranking.depth: wanted a whole number, got {given!r}")


@pytest.mark.parametrize(
    "path", ["losses hinge margin", "training optimiser weight_decay", "training optimiser epsilon"]
)
@pytest.mark.parametrize("given", [float("inf"), float("nan")])  # .inf, .nan
def test_a_number_without_end_is_refused(path, given):
    config = config_of("embedded")
    put(config, path, given)
    assert refusal(config) == f"{path.replace(' ', '.')}: wanted a finite number, got {given}"


@pytest.mark.parametrize("name", [202411, True, 1.5, date(2024, 11, 1)])  # 2024_11, yes, ...
def test_a_name_that_yaml_misreads_is_to_be_quoted(name):
    config = config_of("embedded")
    put(config, "grid datasets", [name])
    wanted = (
        f"grid.datasets.0: wanted text, got {name!r} (as YAML reads it: put a name in quotation"
    )
    assert refusal(config).startswith(wanted)


def test_a_key_said_twice_is_refused_with_both_lines(tmp_path):
    file = tmp_path / "dup.yaml"
    file.write_text("training: {a: 1}\ntitle: x\ntraining:\n  b: 2\n", encoding="utf-8")
    with pytest.raises(BadSettings, match="training is said twice, in line 1 and in line 3"):
        settings.mapping(file)


def test_a_merge_may_say_a_key_again(tmp_path):
    file = tmp_path / "merge.yaml"
    file.write_text("a: &a {x: 1, y: 2}\nb: {<<: *a, x: 3}\n", encoding="utf-8")
    assert settings.mapping(file)["b"] == {"x": 3, "y": 2}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: 1\nb: {<<: {x: 1, x: 2}}\n", "b.<<.x is said twice, in line 2 and in line 2"),
        ("sizes:\n  1: a\n  0x1: b\n", "sizes.0x1 is said twice, in line 2 and in line 3"),
        ("True: a\ntrue: b\n", "true is said twice, in line 1 and in line 2"),
        ('{"a": {"b": 1,\n\t"b": 2}}', "a.b is said twice, in line 1 and in line 2"),
    ],
)
def test_keys_that_become_one_are_refused(tmp_path, text, said):
    (tmp_path / "dup.yaml").write_text(text)
    with pytest.raises(BadSettings, match=re.escape(said)):
        settings.mapping(tmp_path / "dup.yaml")


def test_keys_that_only_look_alike_are_kept(tmp_path):
    (tmp_path / "keys.yaml").write_text("1: a\n'1': b\n0x2: c\n")
    assert settings.mapping(tmp_path / "keys.yaml") == {1: "a", "1": "b", 2: "c"}


def test_json_may_have_tabs(tmp_path):
    study = {"title": "a\tb", "training": {"steps": 4}}
    (tmp_path / "study.json").write_text(json.dumps(study, indent="\t"))
    assert settings.mapping(tmp_path / "study.json") == study


@pytest.mark.parametrize("word", ["yes", "no", "on", "off", "No"])
def test_yes_and_no_are_words(tmp_path, word):
    """As in YAML 1.2, by which DVC writes params.yaml: without quotation marks."""
    (tmp_path / "study.yaml").write_text(f"{word}: {word}\ntrue: false\n")
    assert settings.mapping(tmp_path / "study.yaml") == {word: word, True: False}


def test_dvc_hands_over_numbers(tmp_path):
    """As `dvc exp run -S` writes params.yaml: 1e-05, which YAML 1.1 takes for text."""
    shutil.copy(ROOT / "params.yaml", tmp_path)
    apply_overrides(tmp_path / "params.yaml", ["least_success=1e-5"])
    written = settings.mapping(tmp_path / "params.yaml")
    config = laid_on(written, overlay("embedded", ROOT / "studies"))
    assert study.resolve(config).least_success == 1e-5


@pytest.mark.parametrize("number", ["1:30", "010", "-1:30", "1:30:00", "1:30.5", "0_7", "[1, 02]"])
def test_a_number_that_yaml_misreads_is_refused_with_its_line(tmp_path, number):
    file = tmp_path / "study.yaml"
    file.write_text(f"title: x\ntraining:\n  steps: {number}\n")
    said = r"study.yaml, line 3: YAML takes \S+ in training.steps\S* for another number, in base 60"
    with pytest.raises(BadSettings, match=said):
        settings.mapping(file)


@pytest.mark.parametrize("text", ["'010'", "0", "0x1f", "0.5", "08", "1:75", "1_000", "a:30", "-0"])
def test_other_numbers_and_names_are_read(tmp_path, text):
    (tmp_path / "study.yaml").write_text(f"a: {text}\n")
    assert settings.mapping(tmp_path / "study.yaml") == yaml.safe_load(f"a: {text}")


def test_a_key_that_yaml_misreads_is_refused(tmp_path):
    (tmp_path / "study.yaml").write_text("datasets:\n  010: {corpus: x}\n")
    with pytest.raises(BadSettings, match="line 2: YAML takes 010 in datasets for another number"):
        settings.mapping(tmp_path / "study.yaml")
