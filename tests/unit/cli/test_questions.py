"""Questions: commands that make nothing."""

import json
import re
import sys

import pytest

import redistil.cli
from redistil.cli.commands import COMMANDS, QUESTIONS
from redistil.storage.lineage import Made
from redistil.storage.tables import RUN
from tests.made.configs import ROOT, STUDIES
from tests.made.rankings import run_of


@pytest.fixture
def asked(monkeypatch, capsys):
    """Ask `redistil WORDS`, and return its status with what it said."""

    def ask(*words):
        monkeypatch.setattr(sys, "argv", ["redistil", *map(str, words)])
        with pytest.raises(SystemExit) as ended:
            redistil.cli.main()
        said = capsys.readouterr()
        return ended.value.code or 0, said.out + said.err

    return ask


def test_a_question_is_no_rule():
    assert not QUESTIONS.keys() & COMMANDS.keys()


def test_a_plan_has_hours(asked, monkeypatch):
    monkeypatch.chdir(ROOT)
    code, said = asked("plan", "morand2026", "--on", "H200=20000,6000")
    assert code == 0
    rows = [line.split(" | ") for line in said.splitlines() if " | " in line]
    hours = {row[0]: row[6] for row in rows}
    assert hours["stage"] == "GPU hours on H200"
    assert float(hours["models"]) == pytest.approx(112, abs=1)
    assert float(hours["runs"]) == pytest.approx(100, abs=1)
    assert "Assumed:" in said and "not counted: " not in said
    assert int(dict(zip(rows[0], rows[-1], strict=True))["submissions"]) < 1500
    (share,) = re.findall(r"([\d.]+)% of all hours with H200", said)
    assert 0 < float(share) < 2


def test_the_docs_have_the_plan_of_every_study(asked, monkeypatch, tmp_path):
    monkeypatch.setenv("IR_DATASETS_HOME", str(tmp_path))  # without licensed texts
    for name in ("params.yaml", "studies", "profiles"):
        (tmp_path / name).symlink_to(ROOT / name)
    monkeypatch.chdir(tmp_path)  # where nothing is made yet
    code, said = asked("plan", "--on", "H200=20000,6000")
    rows = [line for line in said.splitlines() if line.startswith("|")]
    assert code == 0 and len(rows) == 2 + len(STUDIES)
    assert "\n".join(rows) in (ROOT / "docs/cluster.md").read_text()


def test_an_unknown_study_is_refused(asked, monkeypatch):
    monkeypatch.chdir(ROOT)
    code, said = asked("plan", "morand2062")
    assert code == 2 and "morand2026" in said


def test_a_trace_says_what_is_gone(asked, tmp_path):
    path = tmp_path / "run.parquet"
    RUN.write(run_of({"q": {"a": 1.0}}), path, Made("rerank", "m/d", {"depth": 1}, "older"))
    code, said = asked("trace", path)
    assert code == 0 and "rerank m/d, record" in said
    assert "CHANGED SINCE: its code was older and is " in said


def test_a_trace_is_a_crate(asked, tmp_path):
    path = tmp_path / "run.parquet"
    RUN.write(run_of({"q": {"a": 1.0}}), path, Made("rerank", "m/d", {"depth": 1}, "older"))
    code, said = asked("trace", path, "--crate")
    assert code == 0
    parts = [entity["@id"] for entity in json.loads(said)["@graph"] if entity["@type"] == "File"]
    assert parts == [path.as_uri()]
