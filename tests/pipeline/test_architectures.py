"""The study of architectures in miniature: from nothing to its page, with the latency of each."""

import csv
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from redistil.machine import latency
from redistil.storage import lineage
from tests.pipeline.conftest import PROJECT, House, clone

STUDENTS = ["tiny-bert", "tiny-dot", "tiny-colbert", "tiny-prettr", "tiny-tk"]
STUDY = ("--config", "study=small")
RESULTS = "results/small"


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """A clone with the small study, made from nothing."""
    house = clone(tmp_path_factory.mktemp("architectures"))
    text = (PROJECT / "tests/pipeline/architectures.yaml").read_text()
    (house.root / "studies/small.yaml").write_text(text)
    (house.root / "dry.json").write_text(json.dumps(house.planned(*STUDY)))
    house.run("snakemake", "--cores", "2", *STUDY)
    yield house


def table(house: House, name: str) -> list[dict[str, str]]:
    path = house.root / RESULTS / f"report/tables/{name}.csv"
    return list(csv.DictReader(path.read_text().splitlines()))


def page(house: House) -> str:
    return (house.root / RESULTS / "report/index.html").read_text()


def test_every_student_is_trained_and_timed_once(built: House):
    planned = json.loads((built.root / "dry.json").read_text())
    assert planned["rerank"] == 10 and planned["time"] == 5
    assert planned["train"] == 10 + 5  # each student's first stage
    assert planned["embed"] == 8  # all but the cross-encoder's
    assert sum(planned.values()) < 110


def test_runs_are_made_of_stored_states(built: House):
    for student in STUDENTS:
        run = built.root / RESULTS / f"runs/{student}/margin-mse-one/1/pydocs-test.parquet"
        store = f"embed {student}/margin-mse-one/1/pydocs/0"
        assert (store in lineage.of(run).inputs) == (student != "tiny-bert")


def test_every_architecture_has_its_line(built: House):
    found = {row["system"] for row in table(built, "leaderboard")}
    for student in STUDENTS:
        assert {f"{student}/pointwise-mse-one", f"{student}/margin-mse-one"} <= found


def test_latency_is_told_of_every_student(built: House):
    for student in STUDENTS:
        one = latency.read(built.root / RESULTS / f"latency/{student}.json")
        assert (one.student, one.model) == (student, f"{student}/pointwise-mse-one/1")
        assert (one.bytes_float32 is None) == (student == "tiny-bert")
        assert f'<th scope="row">{student}</th>' in page(built)
    assert "Re-ranking 20 passages for one query, over 3 queries" in page(built)
    assert (built.root / RESULTS / "report/figures/latency.svg").exists()


def test_the_claim_is_answered(built: House):
    said = page(built)
    assert "Claim, margins beat pointwise scores. In domain: shown on" in said
    assert "of 4 students" in said  # the reference has no gap to itself
    assert "gap closed" in (built.root / RESULTS / "report/tables/paste/claims.md").read_text()


def test_new_times_draw_nothing_again(built: House):
    assert built.planned(*STUDY) == {}
    one = built.root / RESULTS / "latency/tiny-dot.json"
    told = latency.read(one)
    more = {"machine": "another"}
    latency.write(told, more, one)
    assert built.planned(*STUDY) == {}


def test_a_damaged_time_is_refused(built: House):
    one = built.root / RESULTS / "latency/tiny-tk.json"
    whole = one.read_bytes()
    one.write_bytes(whole.replace(b'"queries": 3', b'"queries": 4'))
    try:
        assert "is damaged" in built.run("redistil", "verify", str(one), ok=False)
    finally:
        one.write_bytes(whole)


def test_the_students_are_those_of_the_study():
    listed = (Path(PROJECT) / "studies/architectures.yaml").read_text()
    assert f"students: [{', '.join(STUDENTS)}]" in listed
