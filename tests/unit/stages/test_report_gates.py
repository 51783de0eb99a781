"""Failed gates of teachers in the report: told on the page and the cards."""

import json
from pathlib import Path
from typing import Any

import pytest
from markupsafe import escape

from redistil.stages.report.cards import card
from redistil.stages.report.numbers import gates, tabulated
from redistil.stages.report.numbers.gates import Gate
from redistil.storage import lineage
from redistil.study import artefacts as studies
from redistil.study.artefacts import Cell
from tests.made import report_study
from tests.made.report_study import ended_well, page, plot

PASSED = Gate("one", True, "well")
FAILED = Gate("both", False, "worse than bm25 <b>")
VALIDATION = {"datasets": ["dev"], "first_stage": "splade", "depth": 5, "every": 5}
VALIDATION |= {"measure": "nDCG@10", "keep": "best"}
NEGATIVES = {
    name: {"docpairs": "a/b", "dataset": "test", "at_most": 9, "seed": 1}
    for name in ("triples", "lists")
}


def study(**changed: Any) -> Any:
    """Return a study with a loss whose teacher re-ranks the validation queries, so has a gate."""
    made = report_study.config(**changed)
    made["datasets"]["dev"] = {"corpus": "docs", "part": "dev", "relevant_from": 1}
    made["training"]["validation"] = VALIDATION
    made["teachers"] |= dict.fromkeys(["one", "other"], {"bm25": "bm25", "over": ["lists"]})
    made["sources"]["lists"]["teacher"] = "both"
    return made


def write_gate(folder: Path, gate: Gate) -> Path:
    """Write what `gate` does of a teacher of the study."""
    folder.mkdir(parents=True)
    told = {"subject": gate.subject, "passed": gate.passed, "reason": gate.reason}
    file = folder / "gate.json"
    file.write_text(json.dumps(told), encoding="utf-8")
    asked = studies.settings_of(study()).get(("gate", gate.subject), {})
    lineage.record(lineage.make("gate", gate.subject, asked, "", []), folder)
    return file


def test_gates_are_read(tmp_path: Path):
    files = [write_gate(tmp_path / gate.subject, gate) for gate in (PASSED, FAILED)]
    assert [str(gate) for gate in gates.read(files)] == [
        "The teacher one passed its gate: well.",
        "The teacher both failed its gate: worse than bm25 <b>.",
    ]


def test_a_failure_names_what_it_concerns():
    (told,) = gates.failures(study(), [PASSED, FAILED])
    assert told == f"{FAILED} It teaches infonce."
    (told,) = gates.failures(study(), [Gate("other", False, "badly")])
    assert told.endswith("It teaches no loss of the grid.")


def test_a_loss_has_its_own_gates():
    every = [PASSED, FAILED]
    assert gates.failures_behind(study(), every, "hinge") == []
    assert gates.failures_behind(study(), every, "infonce") == [str(FAILED)]


@pytest.fixture(scope="module")
def failing(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, list[str]]]:
    """A study with a teacher that failed."""
    folder = tmp_path_factory.mktemp("failing")
    options = report_study.write(folder, study())
    options["gates"] = [str(write_gate(folder / "gates/both", FAILED))]
    ended_well(report_study.tabulate(folder, options))
    return folder, options


def test_the_page_begins_with_failures(failing: Any):
    folder, options = failing
    ended_well(plot(folder, options))
    ended_well(page(folder, options))
    html = (folder / "index.html").read_text(encoding="utf-8")
    first_screen = html[: html.index("<nav")]
    (told,) = gates.failures(study(), [FAILED])
    assert f'<p class="failed" role="alert">{escape(told)}</p>' in first_screen
    assert html.count('class="failed"') == 1


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
