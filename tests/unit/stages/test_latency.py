"""Costs of using a student: measured, reported, drawn, and never in a record."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from click.testing import CliRunner, Result

from redistil.cli import cli
from redistil.errors import BadSettings
from redistil.learning import students
from redistil.learning.latency import Reranker
from redistil.machine import latency as told
from redistil.machine.latency import Latency
from redistil.machine.processes import Processes
from redistil.stages import latency
from redistil.stages.report.numbers import latencies
from redistil.storage import lineage, origin
from redistil.study import paths
from redistil.study.artefacts import settings_of
from tests.made import report_study, tiny
from tests.made.configs import config_of, refusal, resolved
from tests.made.students import CASES, pairs_of, student_of, write_words
from tests.made.students import settings_of as architecture_of

pytestmark = pytest.mark.usefixtures("quiet")
ONE = Latency("a", "a/hinge/1", 9, 1000, 2.0, 3.5, 4_000_000, 64.0, 32.0, 1234.0, "an abacus", 2)
QUERIES, PASSAGES = 6, 8


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of two architectures, with the texts that they are timed on."""
    folder = tmp_path_factory.mktemp("house")
    backbone = tiny.checkpoint(folder / "bert")
    tiny.tokens(folder / "q.arrow", backbone, tiny.texts(QUERIES, "q", 4))
    tiny.tokens(folder / "d.arrow", backbone, tiny.texts(PASSAGES, "d", 20))
    tiny.model(folder / "cat", backbone)
    (folder / "dot").mkdir()
    settings = architecture_of("dot")
    students.new(settings, backbone, 1).save(folder / "dot")
    tiny.record(folder / "dot", "train", "dot", **settings)
    return folder


def time(house: Path, model: str, out: Path, passages: int = PASSAGES) -> Result:
    words = [house / model, house / "q.arrow", house / "d.arrow", out, "--queries", 5]
    words += ["--passages", passages, "--precision", "float32", "--name", f"tiny-{model}"]
    return CliRunner().invoke(cli, ["time", *map(str, words), "--device", "cpu"])


def test_a_student_is_timed(house: Path, tmp_path: Path):
    found = {}
    for model in ("cat", "dot"):
        out = tmp_path / f"{model}.json"
        report_study.ended_well(time(house, model, out))
        found[model] = told.read(out)
    for model, one in found.items():
        assert (one.student, one.model) == (f"tiny-{model}", model)
        assert (one.queries, one.passages, one.threads) == (5, PASSAGES, 1)
        assert 0 < one.median <= one.p95 and one.peak_bytes > 1 << 20
    assert found["dot"].bytes_float32 == 4 * 16 == 2 * found["dot"].bytes_float16
    assert found["dot"].million_seconds > 0
    record = origin.of(tmp_path / "dot.json")
    assert record.command == "time" and "train dot" in record.inputs
    assert found["cat"].bytes_float32 is found["cat"].million_seconds is None


def test_too_few_texts_are_refused(house: Path, tmp_path: Path):
    said = time(house, "dot", tmp_path / "out.json", passages=9)
    assert isinstance(said.exception, BadSettings) and not (tmp_path / "out.json").exists()
    assert "has 8 texts, wanted 9: lower latency.passages" in str(said.exception)


def test_the_median_and_the_95th_of_a_hundred_are_told(house: Path, tmp_path: Path, monkeypatch):
    monkeypatch.setattr(latency, "_waits", lambda scores, asked: np.arange(101) ** 2 / 1000)
    monkeypatch.setattr(latency, "_seconds", lambda work: 0.5)
    how: dict[str, Any] = {"queries": 5, "passages": PASSAGES, "precision": "float32"}
    files = [house / "dot", house / "q.arrow", house / "d.arrow", tmp_path / "dot.json"]
    latency.time_student(
        *files, made=lineage.Made("time", "tiny-dot"), processes=Processes("cpu"), **how
    )
    one = told.read(tmp_path / "dot.json")
    assert (one.median, one.p95) == pytest.approx((2500.0, 9025.0))
    assert one.million_seconds == pytest.approx(0.5 / PASSAGES * 1e6)


@pytest.mark.parametrize(("architecture", "family"), [("cat", "bert"), *CASES[::4]])
def test_what_is_timed_are_the_students_scores(checkpoints, tmp_path, architecture, family):
    if architecture == "cat":
        from tests.made.checkpoints import student_on

        student = student_on(checkpoints["bert"])
    else:
        ground = write_words(tmp_path / "w") if family == "words" else checkpoints[family]
        student = student_of(architecture, ground)
    pairs = pairs_of(student)
    with torch.inference_mode():
        reranker = Reranker(student, pairs.passages)
        got = reranker.scores(pairs.queries[2])
        wanted = student.score([pairs.queries[2]] * len(pairs.passages), pairs.passages)
    torch.testing.assert_close(got, wanted, rtol=1e-5, atol=1e-5)
    assert (reranker.stored is None) == (architecture == "cat")


# --- in a study -------------------------------------------------------------------------------


def test_a_study_that_does_not_ask_times_nobody():
    study = resolved("embedded")
    assert not [command for command, _ in settings_of(study) if command == "time"]
    assert paths.paths(study, "{student}", "timed", {}) == []


def test_the_first_training_of_each_student_is_timed_on_the_first_test_set():
    config = config_of("embedded")
    config["latency"] = {"queries": 50, "passages": 1000}
    study = resolved(config)
    asked = {"queries": 50, "passages": 1000, "precision": "float32"}
    assert settings_of(study)["time", "tiny-modernbert"] == asked
    pattern = "{student}/{loss}/{seed} {backbone} {dataset} {corpus}"
    assert paths.paths(study, pattern, "timed", {"student": "tiny-bert"}) == [
        "tiny-bert/bce/1 tiny-bert pydocs-test pydocs"
    ]
    assert len(paths.paths(study, pattern, "timed", {})) == 2


def test_a_latency_of_nothing_is_refused():
    config = config_of("embedded")
    config["latency"] = {"queries": 0, "passages": 1000}
    assert "latency.queries" in refusal(config)


# --- in the report ----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A study whose students were timed, drawn and told."""
    folder = tmp_path_factory.mktemp("shown")
    options: dict[str, Any] = report_study.write(folder, report_study.config())
    options["latency"] = []
    for number, name in enumerate(("small-bert", "small-electra")):
        path = folder / f"{name}.json"
        told.write(replace(ONE, student=name, median=2.0 * 10**number), {}, path)
        options["latency"].append(str(path))
    report_study.ended_well(report_study.tabulate(folder, options))
    given = report_study.named(options, "latency")
    report_study.ended_well(report_study.plot(folder, options, *given))
    options["comparison"] = given
    report_study.ended_well(report_study.page(folder, options))
    return folder, (folder / "index.html").read_text()


def test_the_page_tells_latency(shown: tuple[Path, str]):
    folder, page = shown
    assert "Re-ranking 1,000 passages for one query, over 9 queries, on an abacus" in page
    assert '<th scope="row">small-electra</th><td class="n">20</td><td class="n">3.5</td>' in page
    assert "latency.svg" in page
    assert "milliseconds for 1,000 passages" in (folder / "figures/latency.svg").read_text()


def test_published_waits_have_a_column():
    timed = [replace(ONE, student=name) for name in ("tk", "cat")]
    waits = [{"student": "tk", "milliseconds": 13.6}]
    plain, beside = latencies.sheet(timed), latencies.sheet(timed, waits)
    assert plain and beside and len(beside.header) == len(plain.header) + 1
    assert beside.header[-1] == "published ms" and "another machine" in beside.caption
    assert [row[-1].text for row in beside.rows if row] == ["13.6", "–"]


def test_a_page_without_latency_says_nothing_of_it(tmp_path: Path):
    options: dict[str, Any] = report_study.write(tmp_path, report_study.config())
    report_study.ended_well(report_study.tabulate(tmp_path, options))
    report_study.ended_well(report_study.plot(tmp_path, options))
    report_study.ended_well(report_study.page(tmp_path, options))
    assert "atency" not in (tmp_path / "index.html").read_text()
    assert "does not ask for latency" in (tmp_path / "figures/latency.svg").read_text()


def test_times_are_in_no_record(shown: tuple[Path, str]):
    folder, _ = shown
    read = lineage.of(folder / "figures").inputs
    assert any("tables" in name or "tabulate" in name for name in read)
    assert not any("small-bert.json" in name for name in read)


def test_the_quickest_comes_first():
    slow = replace(ONE, student="cat", median=80.0, bytes_float32=None, million_seconds=None)
    sheet = latencies.sheet([slow, ONE])
    assert sheet is not None
    words = [[cell.text for cell in row or []] for row in sheet.rows]
    assert [row[0] for row in words] == ["a", "cat"]
    assert words[0][1:] == ["2", "3.5", "4", "64", "32", "1,234"]
    assert words[1][4] == "–" and latencies.sheet([]) is None
