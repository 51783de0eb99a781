"""Folders for a hub: what is in them runs as the card says, and no test set chose it."""

import json
import re
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from jinja2 import Environment

from redistil.errors import BadSource, Stale
from redistil.learning import students
from redistil.stages.report.cards import card, publishing
from redistil.storage import digests, lineage
from redistil.storage.lineage import Made
from redistil.storage.tables import VALIDATION
from redistil.study.architectures import ARCHITECTURES
from redistil.study.artefacts import Cell
from tests.made import report_study, tiny
from tests.made.configs import config_of, resolved
from tests.made.report_study import command, ended_well, named, rows_of, tabulate

CELL = "small-bert/infonce/1"
TRAINED = {
    "seconds": 7200.4, "pairs": 1234567, "processor_joules": 50123.4, "gpu_joules": None,
    "device": "an abacus", "processes": 2, "commit": "abc123 with changes",
    "machine": {"processor": "beads | wire", "torch": "0.1"},
}  # fmt: skip


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, list[str]]]:
    """A measured study whose models are real, small checkpoints."""
    folder = tmp_path_factory.mktemp("study")
    config = report_study.config()
    levels, keep = ["test"], {"first_stage": "splade", "depth": 5, "every": 3, "keep": "best"}
    config["training"]["validation"] = keep | {"datasets": levels, "measure": "nDCG@10"}
    config["backbones"]["tiny"] |= {"licence": "MIT | with <a bar>"}
    config["negatives"] = {
        name: {"docpairs": "a/b", "dataset": "test", "at_most": 9, "seed": 1}
        for name in ("triples", "lists")
    }
    options = report_study.write(folder, config)
    ended_well(tabulate(folder, options))
    backbone = tiny.checkpoint(folder / "backbone")
    for seed, record in enumerate(options["models"]):
        model = tiny.model(folder / "trained" / str(seed), backbone, seed)
        for file in model.iterdir():
            if file.name != "made.json":
                shutil.copyfile(file, Path(record).parent / file.name)
        (Path(record).parent / "recipe.yaml").write_text("student: small-bert\n")
        for name in ("last.safetensors", "curve.parquet", "checkpoint.safetensors"):
            (Path(record).parent / name).write_text("not to be given away")
        digests.write_json(TRAINED, Path(record).parent / "cost.json")
    return folder, options


@pytest.fixture
def models(study: tuple[Path, Any], tmp_path: Path) -> dict[str, list[str]]:
    """The study's models, to be spoiled."""
    folder, options = study
    shutil.copytree(folder / "models", tmp_path / "models")
    moved = [str(tmp_path / Path(path).relative_to(folder)) for path in options["models"]]
    return options | {"models": moved}


def publish(folder: Path, options: dict[str, list[str]], out: Path) -> Any:
    given = [*named(options, "models"), "--licence", "apache-2.0", "--name", "small"]
    return command("publish", options["study"][0], folder / "tables", out, *given)


def validate(record: str, *values: float, dataset: str = "dev", first: int = 100) -> None:
    """Write a validation of rising steps, the headline on one dataset."""
    rows = {
        "step": [first * (place + 1) for place in range(len(values))],
        "dataset": [dataset] * len(values),
        "measure": ["nDCG@10"] * len(values),
        "value": list(values),
    }
    made = lineage.of(Path(record))
    VALIDATION.write(VALIDATION.rows(rows), Path(record).parent / "validation.parquet", made)


@pytest.fixture(scope="module")
def published(study: tuple[Path, Any], tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("out") / "published"
    ended_well(publish(*study, out))
    return out


def snippets(folder: Path) -> list[str]:
    return re.findall(r"```python\n(.*?)```", (folder / "README.md").read_text(), re.S)


def test_both_snippets_run_as_they_stand_and_give_equal_raw_logits(
    published: Path, monkeypatch: pytest.MonkeyPatch
):

    folder = published / CELL
    monkeypatch.chdir(folder)
    found = []
    for snippet in snippets(folder):
        names: dict[str, Any] = {}
        exec(compile(snippet, "README.md", "exec"), names)
        found.append(torch.as_tensor(names["scores"]))
    assert len(found) == 2 and found[0].shape == (2,)
    torch.testing.assert_close(found[0], found[1])
    assert ((found[0] < 0) | (found[0] > 1)).any()  # logits, not what a sigmoid leaves of them


def test_the_folder_gives_the_scores_of_the_model_that_was_measured(published: Path, study: Any):
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    folder, ours = published / CELL, students.load(study[0] / "models" / CELL).eval()
    query, passage = "alpha beta", "gamma delta dense"
    tokenizer = AutoTokenizer.from_pretrained(folder)
    tokens = [tokenizer(text, add_special_tokens=False)["input_ids"] for text in (query, passage)]
    theirs = AutoModelForSequenceClassification.from_pretrained(folder).eval()
    with torch.no_grad():
        want = ours.score([tokens[0]], [tokens[1]])
        got = theirs(**tokenizer([query], [passage], return_tensors="pt")).logits.squeeze(-1)
    torch.testing.assert_close(got, want)


def test_a_card_says_what_its_p_is(published: Path):
    words = " ".join((published / CELL / "README.md").read_text().split())
    assert "p over queries and seeds, Holm-corrected over the" in words


def test_a_student_that_reads_apart_is_no_cross_encoder():
    study, nothing = resolved("architectures"), SimpleNamespace(cells={})
    fronts = {}
    for student in ("tiny-bert", "tiny-dot"):
        cell = Cell(student, "margin-mse", 1)
        fronts[student] = yaml.safe_load(card.front_matter(study, nothing, cell, "mit"))
    assert "cross-encoder" in fronts["tiny-bert"]["tags"]
    assert fronts["tiny-dot"]["tags"] == ["reranker", "redistil"]
    assert fronts["tiny-dot"]["library_name"] == "sentence-transformers"


def test_a_student_that_others_load_says_how(study, models, tmp_path: Path):
    """The snippet of the card, run on a late-interaction model of the same folder."""
    folder, _ = study
    own = {"architecture": "colbert", "dimensions": 6, "masks": 2, "mask_position": "before"}
    lengths = {"query_length": 8, "passage_length": 12}
    student = students.new(own | lengths, folder / "backbone", 1)
    student.save(tmp_path / "colbert")
    described = json.loads((tmp_path / "colbert/config_sentence_transformers.json").read_text())
    loaded_as = ARCHITECTURES["colbert"].loaded_as
    assert described["model_type"] == loaded_as
    recipe = SimpleNamespace(**own, **lengths)
    use = card.TEMPLATE.read_text().split("## Use\n")[1].split("## Results")[0]
    said = (
        Environment(trim_blocks=True)
        .from_string(use)
        .render(recipe=recipe, reads_together=False, loaded_as=loaded_as, masks=" [MASK]" * 2)
    )
    (code,) = re.findall(r"```python\n(.*?)```", said, re.S)
    found: dict[str, Any] = {}
    exec(code.replace('"."', repr(str(tmp_path / "colbert"))), found)
    tokens = [
        student.tokenizer(text, add_special_tokens=False)["input_ids"]
        for text in ("how to sort a list", *found["passages"])
    ]
    queries = [np.array(tokens[0], np.int32)] * 2
    wanted = student.eval().score(queries, [np.array(ids, np.int32) for ids in tokens[1:]])
    torch.testing.assert_close(found["scores"][0], wanted.detach(), rtol=1e-4, atol=1e-4)


def test_a_folder_holds_what_a_hub_needs_and_no_more(published: Path):
    assert {file.name for file in (published / CELL).iterdir()} == {
        "README.md", "config.json", "lengths.json", "made.json", "model.safetensors",
        "provenance.json", "recipe.yaml", "tokenizer.json", "tokenizer_config.json",
    }  # fmt: skip


def test_the_front_matter_is_what_hubs_read(published: Path, study: Any):
    text = (published / CELL / "README.md").read_text()
    _, front, _ = text.split("---\n", 2)
    found = yaml.safe_load(front)
    assert (found["license"], found["pipeline_tag"]) == ("apache-2.0", "text-ranking")
    assert found["base_model"] == "a/b" and found["library_name"] == "sentence-transformers"
    (index,) = found["model-index"]
    cells = rows_of(study[0] / "tables" / "cells.csv")
    for result in index["results"]:
        for metric in result["metrics"]:
            (cell,) = [
                row
                for row in cells
                if (row["system"], row["dataset"], row["measure"])
                == (CELL, result["dataset"]["name"], metric["name"])
            ]
            assert metric["value"] == float(cell["value"])
    assert [r["dataset"]["name"] for r in index["results"]] == ["test", "hard", "away"]


def test_the_card_says_licences_results_and_provenance(published: Path):
    text = (published / CELL / "README.md").read_text()
    assert r"| backbone | tiny (a/b) | MIT \| with &lt;a bar> |" in text
    assert "| training passages and queries | docs | not declared" in text
    for table in re.findall(r"(?:^\|.*\|\n)+", text, re.M):
        assert len({len(re.findall(r"(?<!\\)\|", row)) for row in table.splitlines()}) == 1, table
    told = json.loads((published / CELL / "provenance.json").read_text())
    assert told["weights_sha256"] == lineage.sha256(published / CELL / "model.safetensors")
    assert told["trained"] == TRAINED and told["data"].keys() >= {"fetch tiny"}
    now = told["published"]
    assert re.match(r"[0-9a-f]{40}|unknown", now["commit"]) and "torch" in now["machine"]
    assert told["fingerprint"] in text
    assert f"| git commit of redistil | abc123 with changes | {now['commit']} |" in text
    assert f"| torch | 0.1 | {now['machine']['torch']} |" in text
    assert "| device | an abacus, 2 processes |" in text and r"beads \| wire" in text
    assert "| transformers | not recorded |" in text
    assert "took 7,200 seconds for 1,234,567 pairs" in text
    assert "processors meanwhile: 50,123 joules; of its GPUs: not readable" in text


def test_a_model_that_tells_nothing_of_its_training_says_so(
    study: tuple[Path, Any], models: dict[str, list[str]], tmp_path: Path
):
    for record in models["models"]:
        (Path(record).parent / "cost.json").unlink()
    ended_well(publish(study[0], models, tmp_path / "out"))
    text = (tmp_path / "out" / CELL / "README.md").read_text()
    assert "| git commit of redistil | not recorded |" in text and "seconds for" not in text
    told = json.loads((tmp_path / "out" / CELL / "provenance.json").read_text())
    assert told["trained"] == "not recorded"


# --- which seed ---------------------------------------------------------------------------------


def test_without_validation_every_seed_is_published_and_the_card_says_why(published: Path):
    rows = rows_of(published / "models.csv")
    assert len(rows) == 8 and {row["validation"] for row in rows} == {""}
    assert all("a test set must not choose" in row["why"] for row in rows)
    assert "a test set must not choose" in (published / CELL / "README.md").read_text()


def test_the_best_seed_on_validation_is_published_whatever_the_test_says(
    study: tuple[Path, Any], models: dict[str, list[str]], tmp_path: Path
):
    for record in models["models"]:
        seed = int(Path(record).parent.name)
        validate(record, 0.1, 0.5 + seed / 10, 0.2)
    ended_well(publish(study[0], models, tmp_path / "out"))
    rows = rows_of(tmp_path / "out" / "models.csv")
    assert [row["seed"] for row in rows] == ["2"] * 4
    assert {row["validation"] for row in rows} == {"0.7"}
    assert "the best of 2 seeds on validation (0.7000)" in rows[0]["why"]
    assert not (tmp_path / "out" / CELL).exists()


def test_seeds_that_tie_on_validation_give_the_first(
    study: tuple[Path, Any], models: dict[str, list[str]], tmp_path: Path
):
    for record in models["models"]:
        validate(record, 0.5)
    ended_well(publish(study[0], models, tmp_path / "out"))
    assert {row["seed"] for row in rows_of(tmp_path / "out" / "models.csv")} == {"1"}


def test_a_validation_is_a_mean_over_data_sets_at_the_step_that_was_kept(tmp_path: Path):
    """By hand: step 100 has (0.2 + 0.6) / 2, step 200 (0.5 + 0.5) / 2, step 300 (0.9 + 0) / 2."""
    rows = {
        "step": [100, 100, 200, 200, 300, 300],
        "dataset": ["a", "b"] * 3,
        "measure": ["nDCG@10"] * 6,
        "value": [0.2, 0.6, 0.5, 0.5, 0.9, 0.0],
    }
    path, made = tmp_path / "validation.parquet", Made("test", "test")
    VALIDATION.write(VALIDATION.rows(rows), path, made)
    best, last = ({"validation": {"keep": keep}} for keep in ("best", "last"))
    assert publishing.validated(best, path) == pytest.approx(0.5)
    assert publishing.validated(last, path) == pytest.approx(0.45)
    VALIDATION.write(VALIDATION.rows({name: [] for name in rows}), path, made)
    assert publishing.validated(best, path) is None  # a study that does not validate
    assert publishing.validated(best, tmp_path / "none.parquet") is None


# --- what is refused ------------------------------------------------------------------------------


def test_a_seed_without_the_validation_of_the_others_is_refused(
    study: tuple[Path, Any], models: dict[str, list[str]], tmp_path: Path
):
    validate(models["models"][0], 0.5)
    result = publish(study[0], models, tmp_path / "out")
    assert isinstance(result.exception, BadSource)
    assert "hinge/2 has no validation.parquet" in str(result.exception)
    assert not (tmp_path / "out").exists()


def test_a_model_that_was_not_measured_is_refused(
    study: tuple[Path, Any], models: dict[str, list[str]], tmp_path: Path
):
    record = Path(models["models"][0])
    made = lineage.of(record)
    other = Made(made.command, made.name, made.settings, "other code", made.inputs)
    record.write_text(other.dumps())
    result = publish(study[0], models, tmp_path / "out")
    assert isinstance(result.exception, Stale)
    assert "small-bert/hinge/1" in str(result.exception)
    assert not (tmp_path / "out").exists()


def test_a_model_without_weights_is_refused(
    study: tuple[Path, Any], models: dict[str, list[str]], tmp_path: Path
):
    (Path(models["models"][0]).parent / "model.safetensors").unlink()
    result = publish(study[0], models, tmp_path / "out")
    assert isinstance(result.exception, BadSource)
    assert "has no model.safetensors" in str(result.exception) and "train" in str(result.exception)


def test_what_an_earlier_call_left_is_removed_and_what_others_left_is_not(
    study: tuple[Path, Any], models: dict[str, list[str]], tmp_path: Path
):
    out = tmp_path / "out"
    ended_well(publish(study[0], models, out))
    (out / "mine.txt").write_text("kept")
    for record in models["models"]:
        validate(record, 0.5)
    ended_well(publish(study[0], models, out))
    assert len(list(out.glob("*/*/*"))) == 4
    assert (out / "mine.txt").read_text() == "kept"
    assert (Path(models["models"][0]).parent / "model.safetensors").exists()


# --- sources --------------------------------------------------------------------------------------


def test_every_source_of_the_default_study_is_named_with_its_licence():
    study = resolved("embedded")
    found = {what: (which, licence) for what, which, licence in sources(study, "margin-mse")}
    assert found["training passages and queries"][1].startswith("BSD-3")
    assert found["teacher"] == ("pydocs-mean", "trained here, from the sources in this table")
    assert "backbone of the teacher pydocs-modernbert" in found
    assert all(licence and "not declared" not in licence for _, licence in found.values())
    assert "teacher" not in {what for what, _, _ in sources(study, "bce")}


def test_a_teachers_file_is_named_by_where_it_is_published():
    """Its terms stand there, where params.yaml declares none."""
    study = resolved("morand2026")
    found = {what: (which, licence) for what, which, licence in card.sources(
        study, Cell("bert-base", "margin-mse", 662124363)
    )}  # fmt: skip
    which, licence = found["teacher"]
    assert which.startswith("t2 (https://zenodo.org/record/4068216/files/")
    assert licence.startswith("not declared")


def test_a_second_stage_descends_from_what_the_first_read_too():
    config = config_of("rank-distillm")
    config["negatives"]["msmarco-colbertv2-200"]["first_stage"] = "splade-v3-distilbert"
    study = resolved(config)
    rows = list(card.sources(study, Cell("electra-base", "dual-ranknet", 42)))
    assert [what for what, _, _ in rows] == [
        "backbone",
        "training passages and queries",
        "encoder that found the negatives",
        "teacher",
    ]


def sources(study: dict[str, Any], loss: str) -> list[tuple[str, str, str]]:
    return list(card.sources(study, Cell("tiny-bert", loss, 1)))


def test_a_licence_that_is_learnt_of_later_remakes_nothing():
    from redistil.study import artefacts as studies

    plain, told = report_study.config(), report_study.config()
    told["corpora"]["docs"]["licence"] = "PSF-2.0"
    told["backbones"]["tiny"]["licence"] = "MIT"
    assert studies.settings_of(plain) == studies.settings_of(told)


def test_words_cannot_break_out_of_a_table():
    assert card.words("a|b\n<script> *x* `y`") == r"a\|b &lt;script> \*x\* \`y\`"
