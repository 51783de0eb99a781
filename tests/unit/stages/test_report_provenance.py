"""The report refuses every number that is not the one its study asks for: forged records."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import pytest

from redistil.errors import Stale
from redistil.stages.report.numbers import provenance
from redistil.storage import lineage
from redistil.storage.lineage import Made
from redistil.study import artefacts as studies
from tests.made import report_study

CELL = "small-bert/hinge/1"


def of(command: str, records: Mapping[str, Made]) -> list[Made]:
    return [made for made in records.values() if made.command == command]


def check(study: Mapping[str, Any], records: Mapping[str, Made]) -> None:
    provenance.check(study, of("evaluate", records), of("train", records))


def refusal(study: Mapping[str, Any], records: Mapping[str, Made]) -> str:
    with pytest.raises(Stale) as refused:
        check(study, records)
    return str(refused.value)


def test_what_the_study_asks_for_passes():
    study = report_study.config()
    check(study, report_study.records(study))


def test_numbers_that_are_equal_are_equal_however_they_are_spelled():
    study = report_study.config()
    asked = studies.settings_of(study)["train", CELL]
    records = report_study.records(study, {("train", CELL): asked | {"seed": 1.0, "teacher": None}})
    check(study, records)


# --- the set of files -------------------------------------------------------------------------


def test_a_missing_system_is_named():
    study = report_study.config()
    records = report_study.records(study)
    del records[f"evaluate {CELL}"]
    assert f"no measures file of {CELL}" in refusal(study, records)


def test_a_system_given_twice_is_refused():
    study = report_study.config()
    records = report_study.records(study)
    with pytest.raises(Stale, match="give each system once"):
        measured = of("evaluate", records)
        provenance.check(study, [*measured, measured[3]], of("train", records))


def test_a_cell_that_has_left_the_grid_is_refused():
    """Trap 5: files of removed cells stay on disk, and a glob picks them up."""
    study = report_study.config()
    records = report_study.records(study)
    study["grid"]["seeds"] = [1]
    assert "evaluate small-bert/hinge/2 is not part of this study" in refusal(study, records)


def test_a_cell_that_is_new_in_the_grid_is_missed():
    study = report_study.config()
    records = report_study.records(study)
    study["grid"]["seeds"] = [1, 2, 3]
    message = refusal(study, records)
    assert "small-bert/hinge/3" in message
    assert "and 1 more" in message


def test_another_kind_of_file_is_refused():
    study = report_study.config()
    records = report_study.records(study)
    run = records[f"rerank {CELL}/test"]
    with pytest.raises(Stale, match="rerank .* is not part of this study"):
        provenance.check(study, [run], of("train", records))


def test_a_file_without_a_record_is_refused():
    study = report_study.config()
    foreign = Made("file", "values.parquet", {"sha256": {"values.parquet": "0" * 64}})
    with pytest.raises(Stale, match="does not say how it was made"):
        provenance.check(study, [foreign], [])


def test_a_missing_model_is_named():
    study = report_study.config()
    records = report_study.records(study)
    del records[f"train {CELL}"]
    assert f"no model of {CELL}" in refusal(study, records)


# --- settings ---------------------------------------------------------------------------------


def changed_loss(study: dict[str, Any]) -> None:
    study["losses"]["hinge"]["margin"] = 2.0


def changed_rate(study: dict[str, Any]) -> None:
    study["training"]["sizes"]["tiny"]["learning_rate"] = 5e-4


def changed_depth(study: dict[str, Any]) -> None:
    study["reranking"]["depth"] = 7


def changed_query_length(study: dict[str, Any]) -> None:
    study["first_stages"]["splade"]["query_length"] = 12


def changed_threshold(study: dict[str, Any]) -> None:
    study["datasets"]["away"]["relevant_from"] = 2


def changed_measures(study: dict[str, Any]) -> None:
    study["measures"] = ["nDCG@20", "AP"]


def changed_revision(study: dict[str, Any]) -> None:
    study["backbones"]["tiny"]["revision"] = "0a1b2c"


def changed_corpus(study: dict[str, Any]) -> None:
    study["corpora"]["docs"] = {"pydocs": ["click", "numpy"]}


def added_setting(study: dict[str, Any]) -> None:
    study["losses"]["infonce"]["temperature"] = 0.1


@pytest.mark.parametrize(
    ("change", "artefact", "key", "got", "want", "rule"),
    [
        (changed_loss, "train small-bert/hinge/", "options.margin", "1", "2", "train"),
        (changed_rate, "train ", "learning_rate", "0.001", "0.0005", "train"),
        (changed_depth, "", "depth", "5", "7", ""),
        (changed_query_length, "retrieve splade/", "query_length", "9", "12", "retrieve"),
        (changed_threshold, "evaluate ", "relevant_from.away", "1", "2", "evaluate"),
        (changed_measures, "evaluate ", "measures", '["nDCG@10"', '["nDCG@20"', "evaluate"),
        (changed_revision, "fetch tiny", "revision", '"main"', '"0a1b2c"', "fetch"),
        (changed_corpus, "export-passages ", "corpus.pydocs", '["click"]', '["click",', "export"),
        (added_setting, "train ", "options.temperature", "1", "0.1", "train"),
    ],
)
def test_a_setting_that_changed_anywhere_upstream_is_refused(
    change: Callable[[dict[str, Any]], None],
    artefact: str,
    key: str,
    got: str,
    want: str,
    rule: str,
):
    """Traps 2 and 6: a file that the workflow believes up to date, made by other settings."""
    study = report_study.config()
    records = report_study.records(study)
    change(study)
    message = refusal(study, records)
    assert message.startswith(artefact)
    assert f"{key} = {got}" in message
    assert f", and the study asks for {want}" in message
    assert f"snakemake -R {rule}" in message


def test_a_setting_that_the_study_no_longer_has_is_refused():
    study = report_study.config()
    asked = studies.settings_of(study)["train", CELL]
    records = report_study.records(study, {("train", CELL): asked | {"dropout": 0.1}})
    message = refusal(study, records)
    assert f"train {CELL} was made with dropout = 0.1, and the study asks for nothing" in message


def test_the_first_in_the_order_of_the_work_is_named_and_the_others_are_counted():
    study = report_study.config()
    records = report_study.records(study)
    changed_threshold(study)
    changed_loss(study)
    message = refusal(study, records)
    assert message.startswith(("train small-bert/hinge/1 ", "evaluate random/1 "))
    wrong_cells, evaluations = 4, len(of("evaluate", records))
    assert f"{wrong_cells + evaluations - 1} more are wrong too" in message


def test_one_stale_cell_among_fresh_ones_is_found():
    study = report_study.config()
    asked = studies.settings_of(study)["train", CELL]
    records = report_study.records(study, {("train", CELL): asked | {"steps": 8}})
    assert f"train {CELL} was made with steps = 8, and the study asks for 9" in refusal(
        study, records
    )


def test_an_ancestor_that_nobody_asks_for_is_refused():
    study = report_study.config()
    records = report_study.records(study)
    del study["first_stages"]["bm25"]
    study["grid"]["baselines"] = []
    del records["evaluate bm25"]
    check(study, records)
    evaluated = records[f"evaluate {CELL}"]
    stray = records["retrieve-bm25 bm25/test"]
    records[f"evaluate {CELL}"] = evaluated.reading(stray)
    assert "descends from retrieve-bm25 bm25/test, which this study does not" in refusal(
        study, records
    )


# --- chains -----------------------------------------------------------------------------------


def test_a_model_trained_again_after_its_run_was_measured_is_refused():
    """Trap 4: the weights are new, the run that was measured is of the old ones."""
    study = report_study.config()
    records = report_study.records(study)
    records[f"train {CELL}"] = replace(records[f"train {CELL}"], code="newer")
    assert f"different versions of train {CELL}" in refusal(study, records)


def test_systems_measured_on_different_versions_of_a_corpus_are_refused():
    study = report_study.config()
    records = report_study.records(study)
    other = report_study.records(study)
    newer = replace(other["export-queries test"], code="newer")
    run = lineage.make("rerank", f"{CELL}/test", other[f"rerank {CELL}/test"].settings, "", [newer])
    evaluated = records[f"evaluate {CELL}"]
    records[f"evaluate {CELL}"] = lineage.make("evaluate", CELL, evaluated.settings, "", [run])
    assert "different versions of export-queries test" in refusal(study, records)


def test_measures_of_another_systems_runs_are_refused():
    """All settings are right and all chains agree: only the wires are crossed."""
    study = report_study.config()
    records = report_study.records(study)
    other = records["evaluate small-bert/hinge/2"]
    records[f"evaluate {CELL}"] = replace(other, name=CELL)
    assert f"evaluate {CELL} did not read the run {CELL}/test" in refusal(study, records)


def test_a_run_of_no_model_is_refused():
    study = report_study.config()
    records = report_study.records(study)
    evaluated = records[f"evaluate {CELL}"]
    ancestors = {k: m for k, m in evaluated.ancestors.items() if m.command != "train"}
    records[f"evaluate {CELL}"] = replace(evaluated, ancestors=ancestors)
    assert f"does not descend from the model {CELL}" in refusal(study, records)


def test_a_table_upstream_without_a_record_is_refused_but_a_source_is_not():
    study = report_study.config()
    records = report_study.records(study)
    evaluated = records[f"evaluate {CELL}"]
    source = Made("file", "collection.tsv", {"sha256": {"collection.tsv": "0" * 64}})
    records[f"evaluate {CELL}"] = evaluated.reading(source)
    check(study, records)
    table = Made("file", "qrels.parquet", {"sha256": {"qrels.parquet": "0" * 64}})
    records[f"evaluate {CELL}"] = evaluated.reading(table)
    assert "qrels.parquet, which does not say how it was made" in refusal(study, records)


def test_a_published_table_is_a_source_if_the_study_downloads_it():
    study = report_study.config()
    study["downloads"] = {"scores.parquet": {"url": "https://x.org/scores", "md5": "0" * 32}}
    records = report_study.records(study)
    evaluated = records[f"evaluate {CELL}"]

    def of_table(name: str) -> dict[str, Made]:
        table = Made("file", name, {"sha256": {"scores.parquet": "0" * 64}})
        return records | {f"evaluate {CELL}": evaluated.reading(table)}

    check(study, of_table("data/downloads/scores.parquet"))
    for other in ("data/downloads/other.parquet", "data/teachers/scores.parquet"):
        assert f"{other}, which does not say how it was made" in refusal(study, of_table(other))


def test_an_edited_record_does_not_match_its_fingerprint():
    study = report_study.config()
    text = report_study.records(study)[f"train {CELL}"].dumps()
    with pytest.raises(Stale, match="does not match its own fingerprint"):
        Made.loads(text.replace('"steps":9', '"steps":90'))
