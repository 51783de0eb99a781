"""The fingerprint of code: formulas and constants count, words and places do not."""

import shutil
from pathlib import Path

import pytest

from redistil.cli.commands import COMMANDS, code_of
from redistil.errors import BadSettings
from redistil.storage import code

CAT = {"objective": "hinge", "architecture": "cat"}


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A copy of the package whose modules may be edited."""
    copy = tmp_path / "redistil"
    shutil.copytree(code.PACKAGE, copy, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(code, "PACKAGE", copy)
    return copy


def read_again() -> None:
    """Forget the files that were read before."""
    for cached in (code._module, code._statement, code._fingerprint):
        cached.cache_clear()


def of(command: str, **settings: str) -> str:
    """Return the fingerprint of a command, read again from its files."""
    read_again()
    return fingerprint(command, **settings)


def fingerprint(command: str, **settings: str) -> str:
    return code_of(command, CAT | settings if command in ("train", "adopt") else settings)


def changed(path: Path, old: str, new: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert old in text, f"{path} has no {old!r}"
    path.write_text(text.replace(old, new), encoding="utf-8")


def stale(change) -> set[str]:
    """Return the commands whose fingerprint a change moves."""
    read_again()
    before = {command: fingerprint(command) for command in COMMANDS}
    change()
    read_again()
    return {command for command in COMMANDS if fingerprint(command) != before[command]}


WORDS = [
    ("seeds.py", '"""Return numpy', '"""Give numpy'),  # a docstring
    ("seeds.py", "    # 53 bits", "    # fifty-three bits"),  # a comment
    ("errors.py", 'f": did you mean {close[0]!r}?"', 'f", perhaps {close[0]!r}?"'),  # a message
    ("cli/options.py", 'help="CPU threads."', 'help="Threads of the processor."'),
    ("stages/runs.py", "import pyarrow as pa\n", "import pyarrow as pa\n\n# a remark\n"),
    ("learning/scoring.py", 'unit="pair"', 'unit="scored pair"'),  # of a progress bar
]


@pytest.mark.parametrize(("file", "old", "new"), WORDS)
def test_words_are_not_code(package, file, old, new):
    assert stale(lambda: changed(package / file, old, new)) == set()


def test_the_range_of_an_option_is_no_code(package):
    change = lambda: changed(package / "study/candidates.py", "le=10", "le=11")  # noqa: E731
    assert "retrieve-bm25" not in stale(change)


def test_an_error_message_is_no_code(package):
    text = "is not sorted by query_id: make it again"
    change = lambda: changed(package / "storage/pools.py", text, "lacks its order")  # noqa: E731
    assert stale(change) == set()


def test_a_log_line_is_no_code(package):
    path = package / "stages/negatives.py"
    changed(path, "\ndef ", "\ndef spoken():\n    warn(['said'])\n\n\ndef ")
    assert stale(lambda: changed(path, "warn(['said'])", "warn(['told'])")) == set()


def test_moved_modules_are_the_same_code(package):
    def move():
        (package / "learning/history.py").rename(package / "learning/curves.py")
        for path in package.rglob("*.py"):
            text = path.read_text(encoding="utf-8")
            moved = text.replace("redistil.learning.history", "redistil.learning.curves")
            path.write_text(moved, encoding="utf-8")

    assert stale(move) == set()


def test_package_location_is_no_code(package, monkeypatch):
    before = of("train")
    monkeypatch.setattr(code, "PACKAGE", package.rename(package.parent / "elsewhere"))
    assert of("train") == before


VALUED = {"build", "train", "evaluate", "sweep", "gate"}
FORMULAS = [
    ("learning/optimise.py", "* (step + 1) /", "* (step + 2) /", {"train", "build"}),
    ("study/measures.py", "/ np.log2(", "/ np.log10(", VALUED),
    ("stages/candidates/bm25.py", "TOGETHER = ", "TOGETHER = 1 + ", {"retrieve-bm25"}),
    ("stages/report/page/page.html.j2", "<html", "<html data-x", {"page"}),
]


@pytest.mark.parametrize(("file", "old", "new", "commands"), FORMULAS)
def test_a_formula_remakes_its_readers(package, file, old, new, commands):
    assert stale(lambda: changed(package / file, old, new)) == commands


def test_an_objective_remakes_its_own_trainings(package):
    before = {name: of("train", objective=name) for name in ("hinge", "infonce")}
    changed(package / "learning/objectives.py", "margin - ", "2 * margin - ")
    assert of("train", objective="hinge") != before["hinge"]
    assert of("train", objective="infonce") == before["infonce"]


def test_a_new_objective_remakes_nothing(package):
    path = package / "learning/objectives.py"
    change = lambda: changed(path, '    "hinge": hinge,', '    "new": hinge,\n    "hinge": hinge,')  # noqa: E731
    assert stale(change) == set()


WHOLE_STUDY = {"compare", "contrast", "page", "plot", "publish", "tabulate"}  # read all settings


def test_a_new_export_format_retrains_nothing(package):
    def change():
        said = '"lightning-ir", "pylate"'
        changed(package / "study/protocol.py", said, f'"new", {said}')
        path = package / "stages/exports.py"
        changed(path, '    "pylate": _pylate,', '    "new": _pylate,\n    "pylate": _pylate,')

    assert stale(change) == {"export-training"}


def test_a_new_architecture_is_read_by_no_model(package):
    def change():
        for file in ("study/architectures.py", "learning/students/__init__.py"):
            changed(package / file, '    "tk": Tk,', '    "tk": Tk,\n    "new": Tk,')

    assert stale(change) == WHOLE_STUDY


def test_a_changed_architecture_remakes_its_own_models(package):
    architectures = ("dot", "colbert")
    commands = ("train", "adopt", "score", "rerank")
    before = {(c, a): of(c, architecture=a) for c in commands for a in architectures}
    changed(package / "learning/students/dot.py", "of_passages).sum(-1)", "of_passages).mean(-1)")
    moved = {key for key, code in before.items() if of(key[0], architecture=key[1]) != code}
    assert moved == {("train", "dot"), ("adopt", "dot")}


def test_packages_count_by_definition(package):
    more = "\n\nANOTHER = 1\n"
    path = package / "storage/trec.py"
    assert "mine" not in stale(lambda: path.write_text(path.read_text() + more))


def test_fingerprints_leave_out_costs_and_records(package):
    def change():
        for module in code.TOLD:
            path = package.joinpath(*module.split(".")[1:]).with_suffix(".py")
            changed(path, "\ndef ", "\ndef another() -> None: ...\n\n\ndef ")

    assert stale(change) == set()


def test_an_unknown_command_is_refused():
    with pytest.raises(BadSettings, match="'negativs'"):
        code.fingerprint("redistil.cli.negatives", "negativs")
