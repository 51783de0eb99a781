"""Failed gates in the report: told on the page and the cards, left out of averages."""

import json
from pathlib import Path
from typing import Any

import pytest
from markupsafe import escape

from redistil.stages.report.cards import card
from redistil.stages.report.numbers import gates, leaderboard, sheets, tabulated
from redistil.stages.report.numbers.gates import Gate
from redistil.storage import lineage
from redistil.study.artefacts import Cell
from tests.made import report_study
from tests.made.report_study import ended_well, only, page, plot

VALUES = {"measure": "nDCG@10", "queries": 9, "encoder": 0.2, "least": 0.5}
LEARNT = Gate("backbone", "tiny", True, "well")
FAILED = Gate("backbone", "other", False, "badly")
TAUGHT = Gate("teacher", "both", False, "worse than bm25 <b>")
NEGATIVES = {
    name: {"docpairs": "a/b", "dataset": "test", "at_most": 9, "seed": 1}
    for name in ("triples", "lists")
}
SETTINGS = leaderboard.Settings(0.05, 200, 1, 0.005)


def study(**changed: Any) -> Any:
    """Return a study with a student on a backbone of its own, and a loss that has a teacher."""
    made = report_study.config(**changed)
    made["backbones"]["other"] = {"hub": "c/d", "revision": "main"}
    made["students"]["small-electra"]["backbone"] = "other"
    made["sources"]["lists"]["teacher"] = "both"
    return made


def write_gate(folder: Path, command: str, name: str, **told: Any) -> Path:
    folder.mkdir(parents=True)
    made = lineage.make(command, name, {}, "", [])
    (folder / "made.json").write_text(made.dumps(), encoding="utf-8")
    (folder / "gate.json").write_text(json.dumps(told), encoding="utf-8")
    return folder


def test_gates_of_both_kinds_are_read(tmp_path: Path):
    built = write_gate(tmp_path / "tiny", "build", "tiny", **VALUES)
    without = tmp_path / "splade"
    told = {"subject": "both", "passed": True, "reason": "0.5, above bm25 (0.4)"}
    taught = write_gate(tmp_path / "both", "gate", "both", **told)
    records = [built / "made.json", without / "made.json"]
    assert [str(gate) for gate in gates.read(records, [taught / "gate.json"])] == [
        "The backbone tiny failed its gate: nDCG@10 0.200 on 9 held-out training queries, where "
        "0.500 is the least that passes.",
        "The teacher both passed its gate: 0.5, above bm25 (0.4).",
    ]


def test_a_failure_names_what_it_concerns():
    assert gates.failures(study(), [LEARNT, FAILED, TAUGHT]) == [
        "The backbone other failed its gate: badly. Averages over students leave out "
        "small-electra.",
        "The teacher both failed its gate: worse than bm25 <b>. It teaches infonce.",
    ]
    unused = Gate("backbone", "unused", False, "badly")
    (told,) = gates.failures(study(), [unused])
    assert told.endswith("No student of the grid starts from it.")


def test_a_model_has_its_own_gates():
    every = [LEARNT, FAILED, TAUGHT]
    assert gates.failures_behind(study(), every, Cell("small-bert", "hinge", 1)) == []
    both = gates.failures_behind(study(), every, Cell("small-electra", "infonce", 1))
    assert both == [str(FAILED), str(TAUGHT)]


@pytest.fixture(scope="module")
def tables() -> dict[str, Any]:
    asked = study()
    values = report_study.values_of(asked)
    left_out = gates.students_left_out(asked, [LEARNT, FAILED])
    return {
        "all": leaderboard.tabulate(asked, values, SETTINGS),
        "fewer": leaderboard.tabulate(asked, values, SETTINGS, left_out),
        "none": leaderboard.tabulate(asked, values, SETTINGS, asked["grid"]["students"]),
    }


def test_averages_leave_failed_students_out(tables: Any):
    row = only(tables["fewer"].losses, group="In domain", loss="hinge")
    lines = {line.system: line for line in tables["all"].leaderboard}
    assert row.value == pytest.approx(lines["small-bert/hinge"].value("In domain"))
    assert (row.students, row.best_student) == (1, "small-bert")
    for versus in tables["fewer"].versus:
        counts = versus.verdicts
        assert counts.better + counts.same + counts.worse == 1, "one student is left"


def test_tests_of_failed_students_stay(tables: Any):
    assert tables["fewer"].tests == tables["all"].tests
    assert tables["fewer"].leaderboard == tables["all"].leaderboard


def test_averages_over_nobody_have_no_rows(tables: Any):
    assert (tables["none"].losses, tables["none"].versus) == ([], [])


def test_captions_say_who_is_left_out(tables: Any):
    told = gates.left_out(["small-electra"])
    found = tables["fewer"]
    parts = (found.leaderboard, found.losses, found.versus, [], found.tests)
    printed = sheets.sheets(study(), *parts, told)
    assert {name for name, sheet in printed.items() if told in sheet.caption} == {"losses", "pairs"}


@pytest.fixture(scope="module")
def failing(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, list[str]]]:
    """A study whose tables were made when a backbone and a teacher had failed."""
    folder = tmp_path_factory.mktemp("failing")
    options = report_study.write(folder, study())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(gates, "read", lambda *files: [LEARNT, FAILED, TAUGHT])
        ended_well(report_study.tabulate(folder, options))
    return folder, options


def test_the_page_begins_with_failures(failing: Any):
    folder, options = failing
    ended_well(plot(folder, options))
    ended_well(page(folder, options))
    html = (folder / "index.html").read_text(encoding="utf-8")
    first_screen = html[: html.index("<nav")]
    told = gates.failures(study(), [FAILED, TAUGHT])
    banners = [f'<p class="failed" role="alert">{escape(one)}</p>' for one in told]
    assert all(banner in first_screen for banner in banners)
    assert first_screen.count('class="failed"') == len(banners)
    losses = html[html.index('id="losses"') : html.index('id="leaderboard"')]
    assert losses.count(gates.left_out(["small-electra"])) == len(study()["groups"])


def test_the_card_warns_of_a_failed_teacher(failing: Any):
    folder, options = failing
    asked = study(negatives=NEGATIVES)
    read = tabulated.read(folder / "tables")

    def text(loss: str) -> str:
        cell = Cell("small-bert", loss, 1)
        (record,) = [path for path in options["models"] if f"/{cell.name}/" in path]
        return card.text(asked, read, cell, lineage.of(Path(record)), "other", "why", {})

    warning = "- **Warning:** The teacher both failed its gate: worse than bm25 &lt;b>."
    assert warning in text("infonce")
    assert "Warning" not in text("hinge")
